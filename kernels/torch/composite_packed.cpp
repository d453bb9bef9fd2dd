// Packed weights as numbers, as a composition of ATen ops: kernels/api/packed.h.
#include <ATen/ATen.h>

#include "kernels/torch/composite.h"

namespace finetune::ops {
namespace {

// [blocks, size] of [count]; what the last block lacks is anything.
at::Tensor in_blocks(const at::Tensor& values, std::int64_t size) {
  const std::int64_t missing = (size - values.size(0) % size) % size;
  return at::constant_pad_nd(values, {0, missing}).view({-1, size});
}

at::Tensor block_absmax(const PackedMatrix& m) {
  if (!m.absmax_codes.defined()) return m.absmax;
  const at::Tensor numbers = m.map.index_select(0, m.absmax_codes.to(at::kInt));
  const at::Tensor scaled = in_blocks(numbers, kernels::kAbsmaxBlock) * m.absmax.unsqueeze(1);
  return scaled.flatten().narrow(0, 0, m.absmax_codes.size(0)) + m.offset;
}

at::Tensor nf4_numbers(const PackedMatrix& m) {
  const at::Tensor codes = at::stack({m.codes.bitwise_right_shift(4), m.codes.bitwise_and(15)}, 1).flatten();
  const std::int64_t elements = m.rows * m.columns;
  const at::Tensor values = m.numbers.index_select(0, codes.narrow(0, 0, elements).to(at::kInt));
  return (in_blocks(values, kernels::kNf4Block) * block_absmax(m).unsqueeze(1)).flatten().narrow(0, 0, elements);
}

at::Tensor int8_numbers(const PackedMatrix& m) {
  return m.codes.view({m.rows, m.columns}) * m.absmax.unsqueeze(1) * static_cast<double>(kernels::kOver127);
}

}  // namespace

void composed::dequantize(const PackedMatrix& from, at::Tensor& w_OI) {
  w_OI.copy_((from.code == kernels::Code::nf4 ? nf4_numbers(from) : int8_numbers(from)).view(w_OI.sizes()));
}

void composed::packed_row_product(const at::Tensor& x_TI, const PackedMatrix& w, const at::Tensor& bias_O,
                                  at::Tensor& y_TO, bool accumulate) {
  at::Tensor w_OI = at::empty({w.rows, w.columns}, x_TI.options());
  composed::dequantize(w, w_OI);
  row_product(x_TI, w_OI, bias_O, y_TO, accumulate);
}

}  // namespace finetune::ops
