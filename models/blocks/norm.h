// RMSNorm with its weight and, in full fine-tuning, the weight's gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/torch/ops.h"

namespace finetune {

struct Norm {
  at::Tensor weight_D;
  at::Tensor dweight_D;  ///< fp32; undefined where the weight is frozen
  double epsilon = 1e-6;

  bool defined() const { return weight_D.defined(); }

  /// Also writes rstd_T, which backward needs.
  void forward(const at::Tensor& x_TD, at::Tensor& y_TD, at::Tensor rstd_T) const {
    ops::rmsnorm_forward(x_TD, weight_D, epsilon, y_TD, rstd_T);
  }
  /// dx (+)= gradient.
  void backward(const at::Tensor& dy_TD, const at::Tensor& x_TD, const at::Tensor& rstd_T, at::Tensor& dx_TD,
                bool accumulate) const {
    ops::rmsnorm_backward(dy_TD, x_TD, weight_D, rstd_T, dx_TD, accumulate, dweight_D);
  }
};

}  // namespace finetune
