// Which implementation an operation gets on a device in a dtype, by a table of choices.
#include <ATen/ATen.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <algorithm>
#include <vector>

#include "core/operation_names.h"
#include "kernels/api/kernel.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/gpu.h"

namespace finetune::ops {
namespace {

enum class Source { composite, kernel, flash };

// What a GPU has for an operation, in fp32 and bf16.
struct Row {
  Operation operation;
  Source composition, written;
  bool captured;  // its composition may be: it reads nothing on the host that differs between passes of one shape
};

// Attention is not a question of timing: flash attention is ATen's own, and its composition holds whole matrices of
// scores. The composition of cross-entropy sorts in deterministic mode, those of adapters and of attention go through
// lists on the host.
using enum Operation;
constexpr auto kNone = Source::composite;
constexpr Row kGpu[] = {
    {rmsnorm, kNone, Source::kernel, true},
    {rotary_embedding, kNone, Source::kernel, true},
    {attention, Source::flash, Source::flash, false},
    {glu, kNone, Source::kernel, true},
    {entropy, kNone, Source::kernel, false},
    {adapter, kNone, Source::kernel, false},
    {dropped_adapter, kNone, Source::kernel, false},
    {optimizer, kNone, Source::kernel, true},  // never in a capture
    {decoding, kNone, kNone, true},            // no kernel yet; never in a capture
    {unpacking, kNone, Source::kernel, true},
};

thread_local std::optional<KernelTable> thread_table;

// Asked once for all devices: the driver is not to be asked in every operation. Of a device of another kind, which only
// tests have, the kernels alone are asked.
DeviceTraits traits_of(at::Device device) {
  if (device.is_cpu()) return {};
  if (!device.is_cuda()) return {.kernels = kernels::cuda::available(device.index()).ok()};
  static const std::vector<DeviceTraits> kAll = [] {
    std::vector<DeviceTraits> all;
    const int count = at::detail::getCUDAHooks().deviceCount();
    for (int i = 0; i < count; ++i) {
      const at::Device gpu(at::kCUDA, static_cast<c10::DeviceIndex>(i));
      all.push_back({.capability = compute_capability(gpu), .kernels = kernels::cuda::available(i).ok()});
    }
    return all;
  }();
  const auto index = static_cast<std::size_t>(std::max<int>(0, device.index()));
  return index < kAll.size() ? kAll[index] : DeviceTraits{};
}

const Backend& backend(Source source, at::DeviceType device, const DeviceTraits& traits) {
  if (source == Source::flash && traits.capability >= kAmpere) return flash_backend();
  if (source == Source::kernel && device == at::kCPU) return cpu_backend();
  return source == Source::kernel && traits.kernels ? cuda_backend() : composite_backend();
}

const Row& row_of(Operation operation) {
  return *std::ranges::find(kGpu, operation, &Row::operation);
}

// Numbers of a quantised base, whose products are in bf16.
bool is_rounded(Operation operation, at::ScalarType dtype) {
  return operation == unpacking && dtype == at::kBFloat16;
}

// The composition where there is nothing else: in fp64, and in bf16 on a CPU, whose activations are fp32 (unless a test
// wants others).
Source source_of(Operation operation, at::DeviceType device, at::ScalarType dtype, const KernelTable& table) {
  const bool wide = dtype == at::kFloat, taken = table.takes(operation);
  if (device == at::kCPU) return (wide || is_rounded(operation, dtype)) && taken ? Source::kernel : kNone;
  if ((!wide && dtype != at::kBFloat16) || (wide && operation == attention)) return kNone;
  return taken ? row_of(operation).written : row_of(operation).composition;
}

}  // namespace

KernelTable KernelTable::written() {
  KernelTable table;
  for (const Operation operation : kOperations) table.take(operation);
  table.allow_graphs(true);
  return table;
}

KernelTable operator&(KernelTable a, const KernelTable& b) {
  a.operations_ &= b.operations_;
  a.graphs_ = a.graphs_ && b.graphs_;
  return a;
}

UseKernels::UseKernels(const KernelTable& table) : before_(thread_table) {
  thread_table = table;
}
UseKernels::~UseKernels() {
  thread_table = before_;
}

const char* name_of(Operation operation) {
  return kOperationNames[static_cast<std::size_t>(operation)];
}

std::optional<Operation> operation_named(const std::string& name) {
  for (const Operation operation : kOperations) {
    if (name == name_of(operation)) return operation;
  }
  return std::nullopt;
}

bool has_kernels(at::DeviceType device, at::ScalarType dtype) {
  return source_of(unpacking, device, dtype, KernelTable::written()) == Source::kernel;
}

const char* kernels_problem(at::Device device, at::ScalarType dtype) {
  if (!device.is_cpu()) return kernels::cuda::available(device.index()).problem;
  return has_kernels(device.type(), dtype) ? nullptr : "the kernels for a CPU take float32 and bfloat16";
}

bool can_capture(at::DeviceType device, at::ScalarType dtype, std::int64_t head_dim, const KernelTable& table,
                 const DeviceTraits& traits) {
  if (device == at::kCPU) return true;
  if (!traits.kernels || traits.capability < kAmpere || !fits_flash_attention(head_dim)) return false;
  return std::ranges::all_of(kOperations, [&](Operation operation) {
    return source_of(operation, device, dtype, table) != kNone || row_of(operation).captured;
  });
}

bool can_capture(at::Device device, at::ScalarType dtype, std::int64_t head_dim, const KernelTable& table) {
  return can_capture(device.type(), dtype, head_dim, table, traits_of(device));
}

KernelTable made_capturable(KernelTable table) {
  for (const Row& row : kGpu) {
    if (!row.captured) table.take(row.operation);
  }
  table.allow_graphs(true);
  return table;
}

const Backend& choose_backend(Operation operation, at::DeviceType device, at::ScalarType dtype,
                              const KernelTable& table, const DeviceTraits& traits) {
  return backend(source_of(operation, device, dtype, table), device, traits);
}

const Backend& backend_for(Operation operation, const at::Tensor& tensor) {
  static const KernelTable kWritten = KernelTable::written();
  const KernelTable untold = tensor.is_cpu() ? kWritten : KernelTable::composition();
  return choose_backend(operation, tensor.device().type(), tensor.scalar_type(), thread_table.value_or(untold),
                        traits_of(tensor.device()));
}

}  // namespace finetune::ops
