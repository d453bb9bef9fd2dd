// One block per row.
#include "kernels/api/swiglu.h"
#include "kernels/cuda/common.cuh"

namespace finetune::kernels::cuda {
namespace {

__device__ float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

template <typename T>
__global__ void forward_kernel(SwigluForward args) {
  const std::int64_t r = blockIdx.x;
  const T* gate = static_cast<const T*>(args.gate) + r * args.gate_row;
  const T* up = static_cast<const T*>(args.up) + r * args.up_row;
  T* h = static_cast<T*>(args.h) + r * args.h_row;
  for (std::int64_t i = threadIdx.x; i < args.width; i += kThreads) {
    const float g = to_float(gate[i]);
    store(h + i, rounded<T>(g * sigmoid(g)) * to_float(up[i]));
  }
}

template <typename T>
__global__ void backward_kernel(SwigluBackward args) {
  const std::int64_t r = blockIdx.x;
  const T* dh = static_cast<const T*>(args.dh) + r * args.dh_row;
  const T* gate = static_cast<const T*>(args.gate) + r * args.gate_row;
  const T* up = static_cast<const T*>(args.up) + r * args.up_row;
  T* dgate = static_cast<T*>(args.dgate) + r * args.dgate_row;
  T* dup = static_cast<T*>(args.dup) + r * args.dup_row;
  for (std::int64_t i = threadIdx.x; i < args.width; i += kThreads) {
    const float d = to_float(dh[i]), g = to_float(gate[i]), u = to_float(up[i]), s = sigmoid(g);
    store(dgate + i, d * u * s * (1.0f + g * (1.0f - s)));
    store(dup + i, d * g * s);
  }
}

}  // namespace

Status swiglu_forward(const SwigluForward& args, Stream stream) {
  return with_type(args.type, [&]<typename T>(T) {
    return launch(forward_kernel<T>, dim3(blocks(args.rows, 1)), kThreads, stream, args);
  });
}

Status swiglu_backward(const SwigluBackward& args, Stream stream) {
  return with_type(args.type, [&]<typename T>(T) {
    return launch(backward_kernel<T>, dim3(blocks(args.rows, 1)), kThreads, stream, args);
  });
}

}  // namespace finetune::kernels::cuda
