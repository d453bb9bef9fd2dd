// Which implementation an operation gets on a device in a dtype.
#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <iterator>

#include "kernels/api/kernel.h"
#include "kernels/torch/backend.h"

namespace finetune::ops {
namespace {

enum class Source { composite, cpu, flash, cuda };

struct Row {
  Operation operation;
  at::DeviceType device;
  at::ScalarType dtype;
  Source measured, written;  // by KernelChoice
};

// Rows that are not here are the composition. A CUDA row's first entry changes when its kernel has been timed on a
// device and is the faster one. Two are not a question of timing: flash attention is ATen's own, and its composition
// holds whole matrices of scores; the composition of dropout makes its masks on the host.
using enum Operation;
constexpr auto kCpu = at::DeviceType::CPU;
constexpr auto kCuda = at::DeviceType::CUDA;
constexpr Row kTable[] = {
    {rmsnorm, kCpu, at::kFloat, Source::cpu, Source::cpu},
    {rotary_embedding, kCpu, at::kFloat, Source::cpu, Source::cpu},
    {attention, kCpu, at::kFloat, Source::cpu, Source::cpu},
    {swiglu, kCpu, at::kFloat, Source::cpu, Source::cpu},
    {entropy, kCpu, at::kFloat, Source::cpu, Source::cpu},
    {adapter, kCpu, at::kFloat, Source::cpu, Source::cpu},
    {dropped_adapter, kCpu, at::kFloat, Source::cpu, Source::cpu},
    {optimizer, kCpu, at::kFloat, Source::cpu, Source::cpu},
    {rmsnorm, kCuda, at::kFloat, Source::composite, Source::cuda},
    {rmsnorm, kCuda, at::kBFloat16, Source::composite, Source::cuda},
    {rotary_embedding, kCuda, at::kFloat, Source::composite, Source::cuda},
    {rotary_embedding, kCuda, at::kBFloat16, Source::composite, Source::cuda},
    {attention, kCuda, at::kBFloat16, Source::flash, Source::flash},
    {swiglu, kCuda, at::kFloat, Source::composite, Source::cuda},
    {swiglu, kCuda, at::kBFloat16, Source::composite, Source::cuda},
    {entropy, kCuda, at::kFloat, Source::composite, Source::cuda},
    {entropy, kCuda, at::kBFloat16, Source::composite, Source::cuda},
    {adapter, kCuda, at::kFloat, Source::composite, Source::cuda},
    {adapter, kCuda, at::kBFloat16, Source::composite, Source::cuda},
    {dropped_adapter, kCuda, at::kFloat, Source::cuda, Source::cuda},
    {dropped_adapter, kCuda, at::kBFloat16, Source::cuda, Source::cuda},
    {optimizer, kCuda, at::kFloat, Source::composite, Source::cuda},
};

std::atomic<KernelChoice>& choice() {
  static std::atomic<KernelChoice> value{KernelChoice::measured};
  return value;
}

bool cuda_available() {
  static const bool available = kernels::cuda::available().ok();
  return available;
}

const Backend& backend(Source source) {
  if (source == Source::cpu) return cpu_backend();
  if (source == Source::flash) return flash_backend();
  return source == Source::cuda && cuda_available() ? cuda_backend() : composite_backend();
}

Source source_of(const Row& row) {
  return choice() == KernelChoice::measured ? row.measured : row.written;
}

const Row* find_row(Operation operation, at::DeviceType device, at::ScalarType dtype) {
  const auto found = std::ranges::find_if(
      kTable, [&](const Row& row) { return row.operation == operation && row.device == device && row.dtype == dtype; });
  return found == std::end(kTable) ? nullptr : found;
}

}  // namespace

void prefer(KernelChoice wanted) {
  choice() = wanted;
}

bool can_capture(at::Device device, at::ScalarType dtype, std::int64_t head_dim) {
  if (device.is_cpu()) return true;
  // Of the compositions only attention's and the adapters' read on the host.
  const Row* adapters = find_row(adapter, device.type(), dtype);
  return cuda_available() && dtype == at::kBFloat16 && fits_flash_attention(head_dim) && adapters != nullptr &&
         source_of(*adapters) == Source::cuda;
}

const Backend& backend_for(Operation operation, const at::Tensor& tensor) {
  const Row* row = find_row(operation, tensor.device().type(), tensor.scalar_type());
  return row == nullptr ? composite_backend() : backend(source_of(*row));
}

}  // namespace finetune::ops
