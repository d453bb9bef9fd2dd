// SwiGLU (Shazeer, 2020): h = silu(gate) * up, silu(gate) rounded to the storage type.
#pragma once

#include "kernels/api/kernel.h"

namespace finetune::kernels {

struct SwigluForward {
  Type type;
  const void *gate, *up;
  std::int64_t gate_row, up_row;
  void* h;
  std::int64_t h_row;
  std::int64_t rows, width;
};

/// dgate and dup may be gate and up.
struct SwigluBackward {
  Type type;
  const void* dh;
  std::int64_t dh_row;
  const void *gate, *up;
  std::int64_t gate_row, up_row;
  void *dgate, *dup;
  std::int64_t dgate_row, dup_row;
  std::int64_t rows, width;
};

namespace ref {
Status swiglu_forward(const SwigluForward& args, Stream stream);
Status swiglu_backward(const SwigluBackward& args, Stream stream);
}  // namespace ref

namespace cpu {
Status swiglu_forward(const SwigluForward& args, Stream stream);
Status swiglu_backward(const SwigluBackward& args, Stream stream);
}  // namespace cpu

namespace cuda {
Status swiglu_forward(const SwigluForward& args, Stream stream);
Status swiglu_backward(const SwigluBackward& args, Stream stream);
}  // namespace cuda

}  // namespace finetune::kernels
