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
const Backend& cuda_backend();       ///< fp32 and bf16 on CUDA; attention is the composition's

enum class Operation { rmsnorm, rotary_embedding, attention, swiglu, entropy, adapter, optimizer };

/// `measured`: a kernel of our own only where it was timed on such a device and won, elsewhere the composition of ATen
/// ops (on CUDA none has been timed yet). `written`: every kernel there is, for tests and benchmarks.
enum class KernelChoice { measured, written };

/// Chooses for the whole process, before the first step: there is one table, as there is one set of kernels, and a
/// trial's numbers must not depend on a choice that another makes. Not an option of a run, because nobody gains by it
/// until the table's entries are measured.
void prefer(KernelChoice choice);

/// The table (kernels/torch/table.cpp): operation x device x dtype.
const Backend& backend_for(Operation operation, const at::Tensor& tensor);

}  // namespace finetune::ops
