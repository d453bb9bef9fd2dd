// The projections of a frozen base in 4 or 8 bits: bitsandbytes' nf4 and the weights of LLM.int8, without its
// decomposition of outliers. A matrix is a Linear module's own, also where modules that share an input are one product.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

#include "kernels/torch/ops.h"
#include "models/decoder_tensors.h"
#include "models/quantization.h"

namespace finetune {

/// The modules of a stack in their order.
using PackedStack = std::vector<ops::PackedMatrix>;
/// Of one block, by Stack.
using PackedBlock = std::array<PackedStack, kStacks.size()>;
template <class Block>
auto& packed_stack(Block& block, Stack stack) {
  return block[static_cast<std::size_t>(stack)];
}

/// `weight_OI` has any floating dtype: bitsandbytes is given the same numbers. nf4 with the numbers of bitsandbytes
/// 0.50.2 on a CPU, whose code of a doubly quantised absmax is that of the nearest of 65536 steps; the mean that it is
/// held against is LibTorch's on one thread. int8 rounds to float16 first, as there. Beside the result it takes some
/// MiB. Throws Error (bad_input) naming `name` where a number is beyond float16.
ops::PackedMatrix quantize(const at::Tensor& weight_OI, const Quantization& quantization, const std::string& name);

/// The numbers in `dtype`.
at::Tensor dequantized(const ops::PackedMatrix& matrix, at::ScalarType dtype);
/// Those of a stack, one module behind the other, into w_OI.
void dequantize(const PackedStack& stack, at::Tensor& w_OI);

ops::PackedMatrix to_device(const ops::PackedMatrix& matrix, at::Device device);

}  // namespace finetune
