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
  return {count > 0 ? nullptr : "no CUDA device"};
}

}  // namespace finetune::kernels::cuda
