// RMSNorm (Zhang & Sennrich, 2019, eq. 4) with Llama's order of rounding: x / rms(x) is rounded to the storage type,
// then multiplied by w. With `unit_offset` Gemma's: multiplied by 1 + w, and rounded once.
#pragma once

#include "kernels/api/kernel.h"

namespace finetune::kernels {

/// y = round(x * rstd) * w with rstd = 1 / sqrt(mean(x^2) + epsilon), kept for the backward.
struct RmsnormForward {
  Type type;
  const void* x;
  std::int64_t x_row;
  const void* w;  ///< `width` elements of `type`
  float epsilon;
  void* y;
  std::int64_t y_row;
  float* rstd;  ///< one per row
  std::int64_t rows, width;
  bool unit_offset = false;
};

/// dx = or += (dy w - n mean(dy w n)) rstd with n = x rstd, and 1 + w for w with `unit_offset`. dx may be dy.
struct RmsnormBackward {
  Type type;
  const void* dy;
  std::int64_t dy_row;
  const void* x;
  std::int64_t x_row;
  const void* w;
  const float* rstd;
  void* dx;
  std::int64_t dx_row;
  bool accumulate;
  std::int64_t rows, width;
  bool unit_offset = false;
};

/// dw += sum over rows of dy n. To be called before a backward that overwrites dy.
struct RmsnormWeightGradient {
  Type type;
  const void* dy;
  std::int64_t dy_row;
  const void* x;
  std::int64_t x_row;
  const float* rstd;
  float* dw;
  std::int64_t rows, width;
};

namespace ref {
Status rmsnorm_forward(const RmsnormForward& args, Stream stream);
Status rmsnorm_backward(const RmsnormBackward& args, Stream stream);
Status rmsnorm_weight_gradient(const RmsnormWeightGradient& args, Stream stream);
}  // namespace ref

namespace cpu {
Status rmsnorm_forward(const RmsnormForward& args, Stream stream);
Status rmsnorm_backward(const RmsnormBackward& args, Stream stream);
}  // namespace cpu

namespace cuda {
Status rmsnorm_forward(const RmsnormForward& args, Stream stream);
Status rmsnorm_backward(const RmsnormBackward& args, Stream stream);
Status rmsnorm_weight_gradient(const RmsnormWeightGradient& args, Stream stream);
}  // namespace cuda

}  // namespace finetune::kernels
