#include "kernels/torch/ring.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace finetune::ops {

void ResultRing::push(const at::Tensor& values) {
  if (device_.is_cpu()) {
    entries_.push_back({values.clone(), std::nullopt});
    return;
  }
  at::Tensor host = at::empty(values.sizes(), at::TensorOptions(at::kDouble).pinned_memory(true));
  host.copy_(values, /*non_blocking=*/true);
  c10::Event copied(device_.type());
  copied.record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  entries_.push_back({std::move(host), std::move(copied)});
}

std::vector<double> ResultRing::pop() {
  const Entry entry = std::move(entries_.front());
  entries_.pop_front();
  if (entry.copied) entry.copied->synchronize();
  const at::Tensor flat = entry.host.contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

}  // namespace finetune::ops
