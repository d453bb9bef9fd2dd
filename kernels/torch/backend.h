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
  decltype(&ops::row_sums) row_sums;
  decltype(&ops::adamw) adamw;
};

const Backend& composite_backend();  ///< any device, any dtype
const Backend& cpu_backend();        ///< fp32 on the CPU
const Backend& cuda_backend();       ///< fp32 and bf16 on CUDA; attention is flash_backend's
const Backend& flash_backend();      ///< the composition with ATen's flash attention where it can serve

enum class Operation { rmsnorm, rotary_embedding, attention, swiglu, entropy, adapter, dropped_adapter, optimizer };

/// `measured`: a kernel of our own only where it was timed on such a device and won, elsewhere the composition of ATen
/// ops (on CUDA none has been timed yet; adapters with dropout have the kernel, for the composition makes masks on the
/// host). `written`: every kernel there is, for tests and benchmarks.
enum class KernelChoice { measured, written };

/// Chooses for the whole process, before the first step: there is one table, as there is one set of kernels, and a
/// trial's numbers must not depend on a choice that another makes. Not an option of a run, because nobody gains by it
/// until the table's entries are measured.
void prefer(KernelChoice choice);

/// Heads that ATen's flash attention takes.
bool fits_flash_attention(std::int64_t head_dim);

/// Whether a forward and backward in this dtype, with heads of `head_dim`, can be captured once and replayed for other
/// trials: nothing that changes between passes of one shape is read on the host. On a GPU this takes kernels of our own
/// in every place; on the CPU the stand-in of kernels/torch/graph.h replays by computing.
bool can_capture(at::Device device, at::ScalarType dtype, std::int64_t head_dim);

/// The table (kernels/torch/table.cpp): operation x device x dtype.
const Backend& backend_for(Operation operation, const at::Tensor& tensor);

}  // namespace finetune::ops
