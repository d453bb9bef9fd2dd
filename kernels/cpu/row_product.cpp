#include "kernels/api/row_product.h"

#include <algorithm>
#include <memory>

#include "kernels/cpu/packed.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {
namespace {

constexpr std::int64_t kPanel = 32;  // outputs: a panel of the widest registers

// The product over some of the outputs alone.
RowProduct narrowed(RowProduct p, std::int64_t first, std::int64_t count, const float* w) {
  p.w = w;
  p.w_row = p.inputs;
  if (p.bias != nullptr) p.bias = static_cast<const float*>(p.bias) + first;
  p.y = static_cast<float*>(p.y) + first;
  p.outputs = count;
  return p;
}

// Packed weights become numbers a panel at a time, which stays in the cache until it has been multiplied with.
void of_packed(const RowProduct& p, std::int64_t begin, std::int64_t end) {
  const std::unique_ptr<float[]> w(new float[static_cast<std::size_t>(kPanel * p.inputs)]);
  for (std::int64_t output = begin; output < end; output += kPanel) {
    const std::int64_t count = std::min(kPanel, end - output);
    unpack(*p.packed, output * p.inputs, (output + count) * p.inputs, w.get());
    table().row_product(narrowed(p, output, count, w.get()), 0, count);
  }
}

}  // namespace

Status row_product(const RowProduct& p, Stream stream) {
  if (p.type != Type::f32) return kFloat32Only;
  if (p.rows == 0) return {};
  in_parallel(stream, (p.outputs + kPanel - 1) / kPanel, kPanel * p.inputs * p.rows / 4,
              [&](std::int64_t first, std::int64_t last) {
                const std::int64_t begin = first * kPanel, end = std::min(p.outputs, last * kPanel);
                p.packed == nullptr ? table().row_product(p, begin, end) : of_packed(p, begin, end);
              });
  return {};
}

}  // namespace finetune::kernels::cpu
