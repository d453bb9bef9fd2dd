#include "models/packed.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace finetune {
namespace {

using kernels::Code;
using kernels::kAbsmaxBlock;
using kernels::kNf4Block;

// Elements that are converted at once; whole blocks.
constexpr std::int64_t kAtOnce = 1 << 20;
static_assert(kAtOnce % kNf4Block == 0);
// bitsandbytes leaves no block without a scale.
constexpr float kSmallest = 1e-38f;

float largest(const float* values, std::int64_t count) {
  float most = 0;
  for (std::int64_t i = 0; i < count; ++i) most = std::max(most, std::fabs(values[i]));
  return most;
}

// The number of midpoints between neighbours below x: of two that are equally near the first.
std::uint8_t nf4_code(float x) {
  int code = 0;
  for (int i = 0; i < 15; ++i) code += x > (kernels::kNf4[i] + kernels::kNf4[i + 1]) / 2 ? 1 : 0;
  return static_cast<std::uint8_t>(code);
}

// A whole block is multiplied by 1 / absmax, what is left at the end divided by it.
float nf4_block(const float* values, std::int64_t count, std::uint8_t* codes) {
  float absmax = largest(values, count);
  if (count < kNf4Block) absmax = std::max(absmax, kSmallest);
  const float factor = 1.0f / std::max(absmax, kSmallest);
  for (std::int64_t i = 0; i < count; ++i) {
    const float x = count < kNf4Block ? values[i] / absmax : values[i] * factor;
    const int code = nf4_code(std::clamp(x, -1.0f, 1.0f));
    codes[i / 2] = static_cast<std::uint8_t>(i % 2 == 0 ? code << 4 : codes[i / 2] | code);
  }
  // A code without a partner has that of zero.
  if (count % 2 != 0) codes[count / 2] = static_cast<std::uint8_t>(codes[count / 2] | 7);
  return absmax;
}

ops::PackedMatrix nf4(const at::Tensor& weight_OI) {
  const std::int64_t elements = weight_OI.numel(), blocks = (elements + kNf4Block - 1) / kNf4Block;
  ops::PackedMatrix m{.code = Code::nf4, .rows = weight_OI.size(0), .columns = weight_OI.size(1)};
  m.codes = at::empty({(elements + 1) / 2}, at::kByte);
  m.absmax = at::empty({blocks}, at::kFloat);
  static const at::Tensor kNumbers = at::tensor(at::ArrayRef<float>(kernels::kNf4), at::kFloat);
  m.numbers = kNumbers;
  const at::Tensor flat = weight_OI.contiguous().flatten();
  for (std::int64_t first = 0; first < elements; first += kAtOnce) {
    const std::int64_t count = std::min(kAtOnce, elements - first);
    const at::Tensor part = flat.narrow(0, first, count).to(at::kFloat);
    const float* values = part.const_data_ptr<float>();
    auto* codes = m.codes.data_ptr<std::uint8_t>() + first / 2;
    float* absmax = m.absmax.data_ptr<float>() + first / kNf4Block;
    at::parallel_for(0, (count + kNf4Block - 1) / kNf4Block, 256, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t b = begin; b < end; ++b) {
        const std::int64_t from = b * kNf4Block;
        absmax[b] = nf4_block(values + from, std::min(kNf4Block, count - from), codes + from / 2);
      }
    });
  }
  return m;
}

// bitsandbytes' dynamic map: 7 decades below 1, each with twice as many numbers as the one below it.
std::vector<float> dynamic_map() {
  std::vector<float> map{0, 1};
  for (int decade = 0; decade < 7; ++decade) {
    const int count = 1 << decade;
    const at::Tensor bounds = at::linspace(0.1, 1, count + 1, at::kFloat);
    const at::Tensor means = (bounds.narrow(0, 0, count) + bounds.narrow(0, 1, count)) / 2.0;
    const at::Tensor numbers = std::pow(10.0, decade - 6) * means;
    for (int i = 0; i < count; ++i) {
      map.push_back(numbers.const_data_ptr<float>()[i]);
      map.push_back(-map.back());
    }
  }
  std::ranges::sort(map);
  return map;
}

// Of a number in [-1, 1]: it is taken to the nearest of 65536 steps, and that to its nearest number of the map.
std::uint8_t map_code(const std::vector<float>& midpoints, float x) {
  constexpr float kSteps = 65535;
  const float clamped = std::clamp(x, -1.0f, 1.0f);
  const auto step = static_cast<std::uint16_t>(std::fma((clamped + 1.0f) * 0.5f, kSteps, 0.5f));
  const float value = -1.0f + 2.0f * static_cast<float>(step) / kSteps;
  return static_cast<std::uint8_t>(std::ranges::lower_bound(midpoints, value) - midpoints.begin());
}

class OneThreadAlone {
 public:
  OneThreadAlone() : before_(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThreadAlone() { at::set_num_threads(before_); }
  OneThreadAlone(const OneThreadAlone&) = delete;
  OneThreadAlone& operator=(const OneThreadAlone&) = delete;

 private:
  int before_;
};

// On one thread, so that the mean does not depend on how many there are.
at::Tensor mean_of(const at::Tensor& values) {
  const OneThreadAlone alone;
  return values.mean().view({1});
}

void quantize_absmax(ops::PackedMatrix& m) {
  static const std::vector<float> kMap = dynamic_map();
  static const at::Tensor kMapTensor = at::tensor(at::ArrayRef<float>(kMap), at::kFloat);
  std::vector<float> midpoints;
  for (std::size_t i = 0; i + 1 < kMap.size(); ++i) midpoints.push_back(0.5f * (kMap[i] + kMap[i + 1]));
  m.map = kMapTensor;
  m.offset = mean_of(m.absmax);
  const at::Tensor centred = m.absmax - m.offset;
  const std::int64_t count = centred.size(0), blocks = (count + kAbsmaxBlock - 1) / kAbsmaxBlock;
  m.absmax_codes = at::zeros({count}, at::kByte);
  m.absmax = at::empty({blocks}, at::kFloat);
  const float* values = centred.const_data_ptr<float>();
  auto* codes = m.absmax_codes.data_ptr<std::uint8_t>();
  for (std::int64_t b = 0; b < blocks; ++b) {
    const std::int64_t first = b * kAbsmaxBlock, size = std::min(kAbsmaxBlock, count - first);
    const float most = largest(values + first, size);
    m.absmax.data_ptr<float>()[b] = most;
    if (most == 0) continue;
    const float factor = 1.0f / most;
    for (std::int64_t i = first; i < first + size; ++i) codes[i] = map_code(midpoints, values[i] * factor);
  }
}

ops::PackedMatrix int8(const at::Tensor& weight_OI, const std::string& name) {
  const std::int64_t rows = weight_OI.size(0), columns = weight_OI.size(1);
  ops::PackedMatrix m{.code = Code::int8, .rows = rows, .columns = columns};
  m.codes = at::empty({rows * columns}, at::kChar);
  m.absmax = at::empty({rows}, at::kFloat);
  const std::int64_t rows_at_once = std::max<std::int64_t>(1, kAtOnce / columns);
  for (std::int64_t first = 0; first < rows; first += rows_at_once) {
    const std::int64_t count = std::min(rows_at_once, rows - first);
    const at::Tensor part = weight_OI.narrow(0, first, count).to(at::kHalf).to(at::kFloat).contiguous();
    const float* values = part.const_data_ptr<float>();
    for (std::int64_t r = 0; r < count; ++r) {
      const float absmax = largest(values + r * columns, columns);
      if (!std::isfinite(absmax))
        throw bad_input(name, "holds a number beyond float16, in which int8 weights are scaled");
      m.absmax.data_ptr<float>()[first + r] = absmax;
      auto* codes = m.codes.data_ptr<std::int8_t>() + (first + r) * columns;
      const float factor = absmax > 0 ? 1.0f / absmax * 127.0f : 0;  // how torch divides a number by a tensor
      for (std::int64_t i = 0; i < columns; ++i)
        codes[i] = static_cast<std::int8_t>(std::nearbyint(values[r * columns + i] * factor));
    }
  }
  return m;
}

}  // namespace

ops::PackedMatrix quantize(const at::Tensor& weight_OI, const Quantization& quantization, const std::string& name) {
  if (*quantization.code == Code::int8) return int8(weight_OI, name);
  ops::PackedMatrix matrix = nf4(weight_OI);
  if (quantization.doubled) quantize_absmax(matrix);
  return matrix;
}

at::Tensor dequantized(const ops::PackedMatrix& matrix, at::ScalarType dtype) {
  at::Tensor w_OI = at::empty({matrix.rows, matrix.columns}, matrix.codes.options().dtype(dtype));
  ops::dequantize(matrix, w_OI);
  return w_OI;
}

void dequantize(const PackedStack& stack, at::Tensor& w_OI) {
  std::int64_t first = 0;
  for (const ops::PackedMatrix& matrix : stack) {
    at::Tensor rows = w_OI.narrow(0, first, matrix.rows);
    ops::dequantize(matrix, rows);
    first += matrix.rows;
  }
}

ops::PackedMatrix to_device(const ops::PackedMatrix& matrix, at::Device device) {
  ops::PackedMatrix moved = matrix;
  for (at::Tensor* tensor :
       {&moved.codes, &moved.absmax, &moved.absmax_codes, &moved.map, &moved.offset, &moved.numbers})
    if (tensor->defined()) *tensor = tensor->to(device);
  return moved;
}

}  // namespace finetune
