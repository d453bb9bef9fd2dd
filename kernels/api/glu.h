// Gated linear units (Shazeer, 2020): h = activation(gate) * up, activation(gate) rounded to the storage type.
#pragma once

#include "kernels/api/activation.h"
#include "kernels/api/kernel.h"

namespace finetune::kernels {

struct GluForward {
  Type type;
  Activation activation;
  const void *gate, *up;
  std::int64_t gate_row, up_row;
  void* h;
  std::int64_t h_row;
  std::int64_t rows, width;
};

/// dgate and dup may be gate and up.
struct GluBackward {
  Type type;
  Activation activation;
  const void* dh;
  std::int64_t dh_row;
  const void *gate, *up;
  std::int64_t gate_row, up_row;
  void *dgate, *dup;
  std::int64_t dgate_row, dup_row;
  std::int64_t rows, width;
};

namespace ref {
Status glu_forward(const GluForward& args, Stream stream);
Status glu_backward(const GluBackward& args, Stream stream);
}  // namespace ref

namespace cpu {
Status glu_forward(const GluForward& args, Stream stream);
Status glu_backward(const GluBackward& args, Stream stream);
}  // namespace cpu

namespace cuda {
Status glu_forward(const GluForward& args, Stream stream);
Status glu_backward(const GluBackward& args, Stream stream);
}  // namespace cuda

}  // namespace finetune::kernels
