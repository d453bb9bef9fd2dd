// A set of implementations of the operations in ops.h, and the table that says which one a tensor gets.
#pragma once

#include <optional>
#include <string>

#include "kernels/torch/ops.h"

namespace finetune::ops {

struct Backend {
  decltype(&ops::rmsnorm_forward) rmsnorm_forward;
  decltype(&ops::rmsnorm_backward) rmsnorm_backward;
  decltype(&ops::rotary) rotary;
  decltype(&ops::attention_forward) attention_forward;
  decltype(&ops::attention_backward) attention_backward;
  decltype(&ops::glu_forward) glu_forward;
  decltype(&ops::glu_backward) glu_backward;
  decltype(&ops::softcap) softcap;
  decltype(&ops::cross_entropy) cross_entropy;
  decltype(&ops::adapter_forward) adapter_forward;
  decltype(&ops::adapter_backward) adapter_backward;
  decltype(&ops::gradient_norms) gradient_norms;
  decltype(&ops::row_sums) row_sums;
  decltype(&ops::adamw) adamw;
  decltype(&ops::cache_append) cache_append;
  decltype(&ops::cached_attention) cached_attention;
  decltype(&ops::row_product) row_product;
  decltype(&ops::magnitude_backward) magnitude_backward;
  decltype(&ops::packed_row_product) packed_row_product;
  decltype(&ops::dequantize) dequantize;
};

const Backend& composite_backend();  ///< any device, any dtype
const Backend& cpu_backend();        ///< fp32 on the CPU
const Backend& cuda_backend();       ///< fp32 and bf16 on CUDA; attention is flash_backend's
const Backend& flash_backend();      ///< the composition with ATen's flash attention where it can serve

enum class Operation {
  rmsnorm,
  rotary_embedding,
  attention,
  glu,
  entropy,
  adapter,
  dropped_adapter,
  optimizer,
  decoding,
  unpacking
};
inline constexpr Operation kOperations[] = {
    Operation::rmsnorm, Operation::rotary_embedding, Operation::attention, Operation::glu,      Operation::entropy,
    Operation::adapter, Operation::dropped_adapter,  Operation::optimizer, Operation::decoding, Operation::unpacking};
/// "rmsnorm", as in run.kernels.
const char* name_of(Operation operation);
std::optional<Operation> operation_named(const std::string& name);

/// run.kernels as it came to: the operations that run on a kernel of ours where there is one, the others being composed
/// of ATen ops, and whether passes of a GPU may be captured.
class KernelTable {
 public:
  constexpr KernelTable() = default;
  /// No kernel of ours and no graphs; ATen's flash attention stays.
  static constexpr KernelTable composition() { return {}; }
  /// Every kernel there is, and graphs.
  static KernelTable written();

  bool takes(Operation operation) const { return (operations_ >> static_cast<unsigned>(operation) & 1U) != 0; }
  void take(Operation operation) { operations_ |= 1U << static_cast<unsigned>(operation); }
  bool graphs() const { return graphs_; }
  void allow_graphs(bool allowed) { graphs_ = allowed; }
  bool operator==(const KernelTable&) const = default;
  /// What both have.
  friend KernelTable operator&(KernelTable a, const KernelTable& b);

 private:
  std::uint32_t operations_ = 0;
  bool graphs_ = false;
};

/// While one lives, operations called on this thread use this table; the innermost counts. Without one the processor
/// has its kernels and a GPU the compositions. So two studies of one process may differ, as they may in dtype.
class UseKernels {
 public:
  explicit UseKernels(const KernelTable& table);
  ~UseKernels();
  UseKernels(const UseKernels&) = delete;
  UseKernels& operator=(const UseKernels&) = delete;

 private:
  std::optional<KernelTable> before_;
};

/// What the table asks of a GPU.
struct DeviceTraits {
  int capability = 0;    ///< kernels/torch/gpu.h; flash attention needs kAmpere
  bool kernels = false;  ///< kernels/cuda was compiled in and runs on this device
};

/// Whether every operation of a model in this dtype has a kernel of ours on such a device. On the processor one in bf16
/// has weights in it, and activations in fp32.
bool has_kernels(at::DeviceType device, at::ScalarType dtype);

/// Why `written` cannot be had on a device in a dtype; null if it can.
const char* kernels_problem(at::Device device, at::ScalarType dtype);

/// Heads that ATen's flash attention takes.
bool fits_flash_attention(std::int64_t head_dim);

/// Whether a forward and backward in this dtype, with heads of `head_dim`, can be captured once and replayed for other
/// trials: no operation of the table reads on the host what changes between passes of one shape. On the CPU the
/// stand-in of kernels/torch/graph.h replays by computing.
bool can_capture(at::Device device, at::ScalarType dtype, std::int64_t head_dim, const KernelTable& table);
bool can_capture(at::DeviceType device, at::ScalarType dtype, std::int64_t head_dim, const KernelTable& table,
                 const DeviceTraits& traits);
/// The same table with the kernels that a capture needs.
KernelTable made_capturable(KernelTable table);

/// What runs where (kernels/torch/table.cpp): operation x kind of device x dtype x table. `traits` of this very device:
/// an old card beside new ones changes nothing for those.
const Backend& choose_backend(Operation operation, at::DeviceType device, at::ScalarType dtype,
                              const KernelTable& table, const DeviceTraits& traits);
/// The same for a tensor and this thread's table.
const Backend& backend_for(Operation operation, const at::Tensor& tensor);

}  // namespace finetune::ops
