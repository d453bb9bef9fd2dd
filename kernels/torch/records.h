// Lists of plain records in device memory, as the kernels of kernels/api read them.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace finetune::ops {

/// The bytes of a list, copied from pinned memory without waiting.
template <typename T>
at::Tensor records_on(std::span<const T> list, at::Device device) {
  const auto bytes = static_cast<std::int64_t>(std::max<std::size_t>(1, list.size()) * sizeof(T));
  const at::Tensor host = at::empty({bytes}, at::TensorOptions(at::kByte).pinned_memory(!device.is_cpu()));
  if (!list.empty()) std::memcpy(host.data_ptr(), list.data(), list.size() * sizeof(T));
  return host.to(device, /*non_blocking=*/true);
}

template <typename T>
T* records(const at::Tensor& bytes) {
  return static_cast<T*>(bytes.data_ptr());
}

}  // namespace finetune::ops
