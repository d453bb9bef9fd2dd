// How operations on tensors become calls of kernels: where they run, and the checks of what they are given.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstdint>

#include "kernels/api/kernel.h"
#include "kernels/torch/ops.h"

namespace finetune::ops {

using kernels::Status;
using kernels::Stream;
using kernels::Type;

template <typename Args>
using Kernel = Status (*)(const Args&, Stream);

inline void parallel(std::int64_t count, std::int64_t grain, void (*work)(const void*, std::int64_t, std::int64_t),
                     const void* context) {
  at::parallel_for(0, count, grain, [&](std::int64_t begin, std::int64_t end) { work(context, begin, end); });
}

/// Where calls on the tensors of one device go: makes it current, and gives it back.
class Launch {
 public:
  explicit Launch(const at::Tensor& tensor)
      : guard_(tensor.device().type()), before_(guard_.exchangeDevice(tensor.device())), on_cpu_(tensor.is_cpu()) {
    if (on_cpu_)
      stream_.parallel = parallel;
    else
      stream_.handle = guard_.getStreamNativeHandle(guard_.getStream(tensor.device()));
  }
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;
  ~Launch() { guard_.uncheckedSetDevice(before_); }

  template <typename Args>
  void run(Kernel<Args> cpu, Kernel<Args> cuda, const Args& args) const {
    const Kernel<Args> kernel = on_cpu_ ? cpu : cuda;
    TORCH_CHECK(kernel != nullptr, "kernel: there is none for this device");
    const Status status = kernel(args, stream_);
    TORCH_CHECK(status.ok(), "kernel: ", status.problem);
  }

 private:
  c10::impl::VirtualGuardImpl guard_;
  at::Device before_;
  bool on_cpu_;
  Stream stream_;
};

inline Type type_of(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16,
              "kernels take float32 and bfloat16, not ", tensor.scalar_type());
  return tensor.scalar_type() == at::kFloat ? Type::f32 : Type::bf16;
}

/// A pointer that kernels may walk: right device, dtype and shape, contiguous within a row.
inline void* pointer(const at::Tensor& tensor, const at::Tensor& like, at::ScalarType dtype, at::IntArrayRef shape) {
  TORCH_CHECK(tensor.device() == like.device() && tensor.scalar_type() == dtype && tensor.sizes() == shape,
              "kernel: expected ", dtype, shape, " on ", like.device(), ", got ", tensor.scalar_type(), tensor.sizes(),
              " on ", tensor.device());
  TORCH_CHECK(shape.back() <= 1 || tensor.stride(-1) == 1, "kernel: the elements of a row must be contiguous");
  return tensor.data_ptr();
}
inline void* activation(const at::Tensor& tensor, const at::Tensor& like, at::IntArrayRef shape) {
  return pointer(tensor, like, like.scalar_type(), shape);
}
inline float* floats(const at::Tensor& tensor, const at::Tensor& like, at::IntArrayRef shape) {
  return static_cast<float*>(pointer(tensor, like, at::kFloat, shape));
}

/// [T, heads, dim] with the heads of a row side by side.
inline void* heads(const at::Tensor& tensor, const at::Tensor& like, at::IntArrayRef shape) {
  TORCH_CHECK(tensor.size(1) <= 1 || tensor.stride(1) == tensor.size(2), "kernel: heads of a row must be contiguous");
  return activation(tensor, like, shape);
}

/// The operations of ops.h by a kernel, under their names.
namespace by_kernel {

/// kernels/torch/kernel_training.cpp: adapters and the optimizer.
decltype(ops::adapter_forward) adapter_forward;
decltype(ops::adapter_backward) adapter_backward;
decltype(ops::magnitude_backward) magnitude_backward;
decltype(ops::gradient_norms) gradient_norms;
decltype(ops::row_sums) row_sums;
decltype(ops::adamw) adamw;

/// kernels/torch/kernel_decoding.cpp: over a cache, row by row, weights in few bits and in bf16.
decltype(ops::cache_append) cache_append;
decltype(ops::cached_attention) cached_attention;
decltype(ops::row_product) row_product;
decltype(ops::packed_row_product) packed_row_product;
decltype(ops::dequantize) dequantize;
/// ops::product with x in fp32 and w in bf16, on the processor.
decltype(ops::product) rounded_product;

}  // namespace by_kernel
}  // namespace finetune::ops
