// Which implementation an operation gets on a device in a dtype.
#include <ATen/ATen.h>

#include <atomic>

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
// device and is the faster one. Flash attention is ATen's own, and the composition of it a loop over segments: not a
// question of timing.
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
    {optimizer, kCuda, at::kFloat, Source::composite, Source::cuda},
};

std::atomic<KernelChoice>& choice() {
  static std::atomic<KernelChoice> value{KernelChoice::measured};
  return value;
}

const Backend& backend(Source source) {
  if (source == Source::cpu) return cpu_backend();
  if (source == Source::flash) return flash_backend();
  return source == Source::cuda && kernels::cuda::available().ok() ? cuda_backend() : composite_backend();
}

}  // namespace

void prefer(KernelChoice wanted) {
  choice() = wanted;
}

bool can_capture(at::Device device, at::ScalarType dtype, std::int64_t head_dim) {
  if (device.is_cpu()) return true;
  return choice() == KernelChoice::written && kernels::cuda::available().ok() && dtype == at::kBFloat16 &&
         fits_flash_attention(head_dim);
}

const Backend& backend_for(Operation operation, const at::Tensor& tensor) {
  for (const Row& row : kTable) {
    if (row.operation != operation || row.device != tensor.device().type() || row.dtype != tensor.scalar_type()) {
      continue;
    }
    return backend(choice() == KernelChoice::measured ? row.measured : row.written);
  }
  return composite_backend();
}

}  // namespace finetune::ops
