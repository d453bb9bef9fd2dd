// What a GPU is, asked of the driver itself: it is there wherever a GPU can be used, and the program needs no CUDA
// library to ask it.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace finetune::ops {

/// 10 x major + minor: 80 for an A100, 90 for an H100; 0 for the CPU and where the driver does not say.
int compute_capability(at::Device device);

/// Bytes of memory in all, asked of a device once; 0 for the CPU and for a device that is not there.
std::int64_t device_memory(at::Device device);

/// From here on a GPU has tensor cores for bfloat16; flash attention and the kernels of kernels/cuda are made for it.
constexpr int kAmpere = 80;

}  // namespace finetune::ops
