// A set of implementations of the operations in ops.h, and the table that says which one a tensor gets.
#pragma once

#include "kernels/torch/ops.h"

namespace finetune::ops {

struct Backend {
  decltype(&ops::rmsnorm_forward) rmsnorm_forward;
  decltype(&ops::rmsnorm_backward) rmsnorm_backward;
  decltype(&ops::rotary) rotary;
  decltype(&ops::attention_forward) attention_forward;
  decltype(&ops::attention_backward) attention_backward;
  decltype(&ops::swiglu_forward) swiglu_forward;
  decltype(&ops::swiglu_backward) swiglu_backward;
  decltype(&ops::cross_entropy) cross_entropy;
  decltype(&ops::adapter_forward) adapter_forward;
  decltype(&ops::adapter_backward) adapter_backward;
  decltype(&ops::gradient_norms) gradient_norms;
  decltype(&ops::adamw) adamw;
};

const Backend& composite_backend();  ///< any device, any dtype
const Backend& cpu_backend();        ///< fp32 on the CPU

/// The table: fp32 tensors on the CPU have kernels, everything else the composition.
const Backend& backend_for(const at::Tensor& tensor);

}  // namespace finetune::ops
