// All that the kernels take from CUDA: the bf16 type, a launch, a choice by storage type. The tests put a file of the
// same name in front of this one and run the kernels, thread by thread, on the CPU: so kernels use no warp intrinsics,
// only shared memory, __syncthreads and the mathematics of <cmath>.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "kernels/api/kernel.h"

namespace finetune::kernels::cuda {

using Bf16 = __nv_bfloat16;

__device__ inline float to_float(float value) {
  return value;
}
__device__ inline float to_float(Bf16 value) {
  return __bfloat162float(value);
}
__device__ inline void store(float* to, float value) {
  *to = value;
}
__device__ inline void store(Bf16* to, float value) {
  *to = __float2bfloat16_rn(value);
}

/// Rounded on its own: never fused with the sum behind it.
__device__ inline float rounded_product(float a, float b) {
  return __fmul_rn(a, b);
}

template <typename... Parameters, typename... Arguments>
Status launch(void (*kernel)(Parameters...), dim3 grid, int threads, Stream stream, const Arguments&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return {};
  kernel<<<grid, threads, 0, static_cast<cudaStream_t>(stream.handle)>>>(arguments...);
  const cudaError_t error = cudaGetLastError();
  return {error == cudaSuccess ? nullptr : cudaGetErrorString(error)};
}

}  // namespace finetune::kernels::cuda
