#include <cuda_runtime.h>

#include "kernels/api/kernel.h"

namespace finetune::kernels::cuda {

Status available(int device) {
  int major = 0;
  const cudaError_t error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  if (error != cudaSuccess) {
    cudaGetLastError();  // not to be seen by the next launch
    return {cudaGetErrorString(error)};
  }
  // What the kernels are compiled for.
  return {major < 8 ? "this CUDA device is older than compute capability 8.0" : nullptr};
}

}  // namespace finetune::kernels::cuda
