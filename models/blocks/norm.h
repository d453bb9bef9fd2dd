// RMSNorm with its weight and, in full fine-tuning, the weight's gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/torch/ops.h"
#include "models/decoder_options.h"

namespace finetune {

struct Norm {
  Norm() = default;
  Norm(const at::Tensor& weight, const at::Tensor& gradient, const DecoderOptions& model)
      : weight_D(weight), dweight_D(gradient), epsilon(model.norm_epsilon), unit_offset(model.unit_offset_norm) {}

  at::Tensor weight_D;
  at::Tensor dweight_D;  ///< fp32; undefined where the weight is frozen
  double epsilon = 1e-6;
  bool unit_offset = false;  ///< multiplies by 1 + weight

  bool defined() const { return weight_D.defined(); }

  /// Also writes rstd_T, which backward needs.
  void forward(const at::Tensor& x_TD, at::Tensor& y_TD, at::Tensor rstd_T) const {
    ops::rmsnorm_forward(x_TD, {weight_D, unit_offset}, epsilon, y_TD, rstd_T);
  }
  /// dx (+)= gradient.
  void backward(const at::Tensor& dy_TD, const at::Tensor& x_TD, const at::Tensor& rstd_T, at::Tensor& dx_TD,
                bool accumulate) const {
    ops::rmsnorm_backward(dy_TD, x_TD, {weight_D, unit_offset}, rstd_T, dx_TD, accumulate, dweight_D);
  }
};

}  // namespace finetune
