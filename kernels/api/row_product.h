// y = x W^T for the rows of a decoding step, a token of each sequence: a row's numbers do not depend on how many rows
// there are, be it one. Few rows are bound by reading W, which is read once for all of them.
#pragma once

#include "kernels/api/kernel.h"
#include "kernels/api/packed.h"

namespace finetune::kernels {

struct RowProduct {
  Type type;
  const void* x;
  std::int64_t x_row;
  const void* w;  ///< [outputs, inputs]
  std::int64_t w_row;
  const Packed* packed;  ///< the weights instead of `w`, or null
  const void* bias;      ///< of the outputs; null = none
  void* y;
  std::int64_t y_row;
  bool accumulate;  ///< y += instead of y =
  std::int64_t rows, inputs, outputs;
};

namespace ref {
Status row_product(const RowProduct& args, Stream stream);
}  // namespace ref

namespace cpu {
Status row_product(const RowProduct& args, Stream stream);
}  // namespace cpu

}  // namespace finetune::kernels
