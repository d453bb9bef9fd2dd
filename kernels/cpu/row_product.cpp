// The product turned around: W is the left side, and the rows stand side by side in a register, so an element is one
// sum in the order of the inputs, however many rows there are.
#include "kernels/api/row_product.h"

#include <cstddef>
#include <vector>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {
namespace {

constexpr std::int64_t kLanesAtMost = 16;
// An item: its sums stay in the first-level cache, and the rows it multiplies by in the second.
constexpr std::int64_t kOutputs = 24;  // a multiple of every kBlockRows: 8, 6 and 4
constexpr std::int64_t kRows = 128;

// [inputs, padded rows], zeros behind the rows.
struct Turned {
  explicit Turned(const RowProduct& p)
      : padded((p.rows + kLanesAtMost - 1) / kLanesAtMost * kLanesAtMost),
        values(static_cast<std::size_t>(padded * p.inputs)) {
    const auto* x = static_cast<const float*>(p.x);
    for (std::int64_t r = 0; r < p.rows; ++r) {
      for (std::int64_t i = 0; i < p.inputs; ++i) values[static_cast<std::size_t>(i * padded + r)] = x[r * p.x_row + i];
    }
  }
  std::int64_t padded;
  std::vector<float> values;
};

struct Item {
  std::int64_t output, outputs, row, rows;
};

void put_back(const RowProduct& p, const Item& item, const float* sums, std::int64_t sums_row) {
  const auto* bias = static_cast<const float*>(p.bias);
  for (std::int64_t r = 0; r < item.rows && item.row + r < p.rows; ++r) {
    float* y = static_cast<float*>(p.y) + (item.row + r) * p.y_row + item.output;
    for (std::int64_t o = 0; o < item.outputs; ++o) {
      float value = sums[o * sums_row + r];
      if (bias != nullptr) value += bias[item.output + o];
      y[o] = p.accumulate ? y[o] + value : value;
    }
  }
}

}  // namespace

Status row_product(const RowProduct& p, Stream stream) {
  if (p.type != Type::f32) return kFloat32Only;
  if (p.rows == 0) return {};
  const Turned x(p);
  const std::int64_t panels = (x.padded + kRows - 1) / kRows, blocks = (p.outputs + kOutputs - 1) / kOutputs;
  // The panels of a block one after the other: its weights are read once.
  in_parallel(stream, blocks, kOutputs * p.inputs * x.padded / 16, [&](std::int64_t first, std::int64_t last) {
    alignas(64) float sums[kOutputs * kRows];
    for (std::int64_t i = first * panels; i < last * panels; ++i) {
      const std::int64_t output = i / panels * kOutputs, row = i % panels * kRows;
      const Item item{output, std::min(kOutputs, p.outputs - output), row, std::min(kRows, x.padded - row)};
      table().product({.x = static_cast<const float*>(p.w) + item.output * p.w_row,
                       .x_row = p.w_row,
                       .x_k = 1,
                       .b = x.values.data() + item.row,
                       .b_row = x.padded,
                       .c = sums,
                       .c_row = kRows,
                       .rows = item.outputs,
                       .n = item.rows,
                       .depth = p.inputs});
      put_back(p, item, sums, kRows);
    }
  });
  return {};
}

}  // namespace finetune::kernels::cpu
