// Products with weights in bfloat16 on a processor: y = x w, of which the operands are bfloat16 and all else is fp32.
// An element of y is one chain of sums in fp32 over the inputs in their order, which begins with what stands in y where
// that is added to; so a row's bits depend on nothing but the row, be there one or a thousand.
//
// The factors are the elements of x rounded to the nearest bfloat16, ties to even, and w; a product of two is exact in
// fp32. Processors differ in how they sum: AVX512-BF16 adds pairs of products, AMX the sums of 16 at a time, and both
// take numbers below 2^-126 for zero; others add product by product. All stay within the error of a sum in fp32 of that
// length.
#pragma once

#include <cstdint>

#include "kernels/api/kernel.h"

namespace finetune::kernels {

struct RoundedProduct {
  const float* x;  ///< [rows, inputs]
  std::int64_t x_row;
  const std::uint16_t* w;  ///< bits of bfloat16: [outputs, inputs], or with `by_inputs` [inputs, outputs]
  std::int64_t w_row;
  bool by_inputs;
  float* y;  ///< [rows, outputs]
  std::int64_t y_row;
  bool accumulate;  ///< y += instead of y =
  std::int64_t rows, inputs, outputs;
};

namespace ref {
Status rounded_product(const RoundedProduct& args, Stream stream);
}  // namespace ref

namespace cpu {
Status rounded_product(const RoundedProduct& args, Stream stream);
/// What multiplies bfloat16 here: "amx", "avx512_bf16", or "" where it is done in fp32, which is slower than fp32
/// itself.
const char* bfloat16_unit();
}  // namespace cpu

}  // namespace finetune::kernels
