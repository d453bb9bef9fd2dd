// Which implementation an operation gets on a device in a dtype.
#include <ATen/ATen.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <algorithm>
#include <vector>

#include "kernels/api/kernel.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/gpu.h"

namespace finetune::ops {
namespace {

enum class Source { composite, kernel, flash };

// What a choice of kernels means for one operation.
struct Row {
  Operation operation;
  Source automatic, composition, written;
};

// On a GPU, in fp32 and bf16. A row's first entry changes when its kernel has been timed on a device and is the faster
// one. Two are not a question of timing: flash attention is ATen's own, and its composition holds whole matrices of
// scores; the composition of dropout makes its masks on the host.
using enum Operation;
constexpr auto kNone = Source::composite;
constexpr Row kGpu[] = {
    {rmsnorm, kNone, kNone, Source::kernel},
    {rotary_embedding, kNone, kNone, Source::kernel},
    {attention, Source::flash, Source::flash, Source::flash},
    {glu, kNone, kNone, Source::kernel},
    {entropy, kNone, kNone, Source::kernel},
    {adapter, kNone, kNone, Source::kernel},
    {dropped_adapter, Source::kernel, kNone, Source::kernel},
    {optimizer, kNone, kNone, Source::kernel},
    {decoding, kNone, kNone, kNone},  // no kernel yet
    {unpacking, kNone, kNone, Source::kernel},
};

thread_local KernelChoice thread_choice = KernelChoice::automatic;

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

// The composition where there is nothing else: in fp64, and in bf16 on a CPU.
Source source_of(Operation operation, at::DeviceType device, at::ScalarType dtype, KernelChoice choice) {
  const bool composed = choice == KernelChoice::composition;
  if (device == at::kCPU) return composed || dtype != at::kFloat ? kNone : Source::kernel;
  const bool wide = dtype == at::kFloat;
  if ((!wide && dtype != at::kBFloat16) || (wide && operation == attention)) return kNone;
  const Row& row = *std::ranges::find(kGpu, operation, &Row::operation);
  if (choice == KernelChoice::automatic) return row.automatic;
  return composed ? row.composition : row.written;
}

}  // namespace

UseKernels::UseKernels(KernelChoice choice) : before_(thread_choice) {
  thread_choice = choice;
}
UseKernels::~UseKernels() {
  thread_choice = before_;
}

const char* name_of(Operation operation) {
  switch (operation) {
    case rmsnorm:
      return "rmsnorm";
    case rotary_embedding:
      return "rotary";
    case attention:
      return "attention";
    case glu:
      return "glu";
    case entropy:
      return "entropy";
    case adapter:
      return "adapter";
    case dropped_adapter:
      return "dropped_adapter";
    case optimizer:
      return "optimizer";
    case decoding:
      return "decoding";
    case unpacking:
      return "unpacking";
  }
  return "";
}

std::optional<Operation> operation_named(const std::string& name) {
  for (const Operation operation : kOperations) {
    if (name == name_of(operation)) return operation;
  }
  return std::nullopt;
}

bool has_kernels(at::DeviceType device, at::ScalarType dtype) {
  return source_of(rmsnorm, device, dtype, KernelChoice::written) == Source::kernel;
}

const char* kernels_problem(at::Device device, at::ScalarType dtype) {
  if (!device.is_cpu()) return kernels::cuda::available(device.index()).problem;
  return has_kernels(device.type(), dtype) ? nullptr : "the kernels for a CPU are float32 only";
}

bool can_capture(at::Device device, at::ScalarType dtype, std::int64_t head_dim, KernelChoice choice) {
  if (device.is_cpu()) return true;
  // Of the compositions only attention's and the adapters' read on the host.
  const DeviceTraits traits = traits_of(device);
  return traits.kernels && traits.capability >= kAmpere && dtype == at::kBFloat16 && fits_flash_attention(head_dim) &&
         source_of(adapter, device.type(), dtype, choice) == Source::kernel;
}

const Backend& choose_backend(Operation operation, at::DeviceType device, at::ScalarType dtype, KernelChoice choice,
                              const DeviceTraits& traits) {
  return backend(source_of(operation, device, dtype, choice), device, traits);
}

const Backend& backend_for(Operation operation, const at::Tensor& tensor) {
  return choose_backend(operation, tensor.device().type(), tensor.scalar_type(), thread_choice,
                        traits_of(tensor.device()));
}

}  // namespace finetune::ops
