// What a GPU is, asked of the driver itself: it is there wherever a GPU can be used, and the program needs no CUDA
// library to ask it. Nothing here makes a context on the device.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>

namespace finetune::ops {

/// 10 x major + minor: 80 for an A100, 90 for an H100; 0 for the CPU and where the driver does not say.
int compute_capability(at::Device device);

/// What the driver says of a GPU; empty and 0 where it does not.
struct GpuFacts {
  std::string name;  ///< "NVIDIA H200"
  int capability = 0, multiprocessors = 0;
  std::int64_t memory_bytes = 0;
};
GpuFacts gpu_facts(at::Device device);

/// "13.0": the CUDA version that the driver serves; "" where there is none.
std::string driver_version();

/// From here on a GPU has tensor cores for bfloat16; flash attention and the kernels of kernels/cuda are made for it.
constexpr int kAmpere = 80;

}  // namespace finetune::ops
