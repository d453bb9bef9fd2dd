#include <cuda_runtime.h>

#include "kernels/api/kernel.h"

namespace finetune::kernels::cuda {

Status available() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    cudaGetLastError();  // not to be seen by the next launch
    return {cudaGetErrorString(error)};
  }
  for (int device = 0; device < count; ++device) {
    int major = 0;
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    if (major < 8) return {"a CUDA device older than compute capability 8.0"};  // what the kernels are compiled for
  }
  return {count > 0 ? nullptr : "no CUDA device"};
}

}  // namespace finetune::kernels::cuda
