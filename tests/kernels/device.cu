// Memory of the current CUDA device.
#include <cuda_runtime.h>

#include <stdexcept>

#include "tests/kernels/implementation.h"

namespace finetune::kernels::testing {
namespace {

void check(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

}  // namespace

const Memory& memory() {
  static const Memory kMemory = {[](const void* host, std::size_t bytes) {
                                   void* device = nullptr;
                                   check(cudaMalloc(&device, bytes > 0 ? bytes : 1));
                                   check(cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice));
                                   return device;
                                 },
                                 [](void* host, const void* device, std::size_t bytes) {
                                   check(cudaDeviceSynchronize());
                                   check(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost));
                                 },
                                 [](void* device) { cudaFree(device); }};
  return kMemory;
}

const char* skipped() {
  return cuda::available(0).problem;
}

}  // namespace finetune::kernels::testing
