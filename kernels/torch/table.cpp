// Which implementation an operation gets on a device in a dtype.
#include <ATen/ATen.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "kernels/api/kernel.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/gpu.h"

namespace finetune::ops {
namespace {

enum class Source { composite, cpu, flash, cuda };

struct Row {
  Operation operation;
  at::DeviceType device;
  at::ScalarType dtype;
  Source automatic, composition, written;  // by KernelChoice
};

// Rows that are not here are the composition. A CUDA row's first entry changes when its kernel has been timed on a
// device and is the faster one. Two are not a question of timing: flash attention is ATen's own, and its composition
// holds whole matrices of scores; the composition of dropout makes its masks on the host.
using enum Operation;
constexpr auto kCpu = at::DeviceType::CPU;
constexpr auto kCuda = at::DeviceType::CUDA;
constexpr auto kNone = Source::composite;
constexpr Row kTable[] = {
    {rmsnorm, kCpu, at::kFloat, Source::cpu, kNone, Source::cpu},
    {rotary_embedding, kCpu, at::kFloat, Source::cpu, kNone, Source::cpu},
    {attention, kCpu, at::kFloat, Source::cpu, kNone, Source::cpu},
    {swiglu, kCpu, at::kFloat, Source::cpu, kNone, Source::cpu},
    {entropy, kCpu, at::kFloat, Source::cpu, kNone, Source::cpu},
    {adapter, kCpu, at::kFloat, Source::cpu, kNone, Source::cpu},
    {dropped_adapter, kCpu, at::kFloat, Source::cpu, kNone, Source::cpu},
    {optimizer, kCpu, at::kFloat, Source::cpu, kNone, Source::cpu},
    {rmsnorm, kCuda, at::kFloat, kNone, kNone, Source::cuda},
    {rmsnorm, kCuda, at::kBFloat16, kNone, kNone, Source::cuda},
    {rotary_embedding, kCuda, at::kFloat, kNone, kNone, Source::cuda},
    {rotary_embedding, kCuda, at::kBFloat16, kNone, kNone, Source::cuda},
    {attention, kCuda, at::kBFloat16, Source::flash, Source::flash, Source::flash},
    {swiglu, kCuda, at::kFloat, kNone, kNone, Source::cuda},
    {swiglu, kCuda, at::kBFloat16, kNone, kNone, Source::cuda},
    {entropy, kCuda, at::kFloat, kNone, kNone, Source::cuda},
    {entropy, kCuda, at::kBFloat16, kNone, kNone, Source::cuda},
    {adapter, kCuda, at::kFloat, kNone, kNone, Source::cuda},
    {adapter, kCuda, at::kBFloat16, kNone, kNone, Source::cuda},
    {dropped_adapter, kCuda, at::kFloat, Source::cuda, kNone, Source::cuda},
    {dropped_adapter, kCuda, at::kBFloat16, Source::cuda, kNone, Source::cuda},
    {optimizer, kCuda, at::kFloat, kNone, kNone, Source::cuda},
};
constexpr Operation kOperations[] = {rmsnorm, rotary_embedding, attention,       swiglu,
                                     entropy, adapter,          dropped_adapter, optimizer};

thread_local KernelChoice thread_choice = KernelChoice::automatic;

// Asked once for all devices: the driver is not to be asked in every operation.
DeviceTraits traits_of(at::Device device) {
  if (!device.is_cuda()) return {};
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

const Backend& backend(Source source, const DeviceTraits& traits) {
  if (source == Source::cpu) return cpu_backend();
  if (source == Source::flash) return traits.capability >= kAmpere ? flash_backend() : composite_backend();
  return source == Source::cuda && traits.kernels ? cuda_backend() : composite_backend();
}

Source source_of(const Row& row, KernelChoice choice) {
  if (choice == KernelChoice::automatic) return row.automatic;
  return choice == KernelChoice::written ? row.written : row.composition;
}

const Row* find_row(Operation operation, at::DeviceType device, at::ScalarType dtype) {
  const auto found = std::ranges::find_if(
      kTable, [&](const Row& row) { return row.operation == operation && row.device == device && row.dtype == dtype; });
  return found == std::end(kTable) ? nullptr : found;
}

// The state of the optimizer and the adapters is fp32 whatever the activations are.
at::ScalarType dtype_of(Operation operation, at::ScalarType activations) {
  return operation == optimizer ? at::kFloat : activations;
}

}  // namespace

UseKernels::UseKernels(KernelChoice choice) : before_(thread_choice) {
  thread_choice = choice;
}
UseKernels::~UseKernels() {
  thread_choice = before_;
}

bool has_kernels(at::DeviceType device, at::ScalarType dtype) {
  return std::ranges::all_of(kOperations, [&](Operation operation) {
    const Row* row = find_row(operation, device, dtype_of(operation, dtype));
    return row != nullptr && row->written != kNone;
  });
}

const char* kernels_problem(at::Device device, at::ScalarType dtype) {
  if (device.is_cuda()) return kernels::cuda::available(device.index()).problem;
  return has_kernels(device.type(), dtype) ? nullptr : "the kernels for a CPU are float32 only";
}

bool can_capture(at::Device device, at::ScalarType dtype, std::int64_t head_dim, KernelChoice choice) {
  if (device.is_cpu()) return true;
  // Of the compositions only attention's and the adapters' read on the host.
  const DeviceTraits traits = traits_of(device);
  const Row* adapters = find_row(adapter, device.type(), dtype);
  return traits.kernels && traits.capability >= kAmpere && dtype == at::kBFloat16 && fits_flash_attention(head_dim) &&
         adapters != nullptr && source_of(*adapters, choice) == Source::cuda;
}

const Backend& choose_backend(Operation operation, at::DeviceType device, at::ScalarType dtype, KernelChoice choice,
                              const DeviceTraits& traits) {
  const Row* row = find_row(operation, device, dtype);
  return row == nullptr ? composite_backend() : backend(source_of(*row, choice), traits);
}

const Backend& backend_for(Operation operation, const at::Tensor& tensor) {
  return choose_backend(operation, tensor.device().type(), tensor.scalar_type(), thread_choice,
                        traits_of(tensor.device()));
}

}  // namespace finetune::ops
