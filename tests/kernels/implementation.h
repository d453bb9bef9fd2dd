// What the kernel cases are run on: a set of functions and the memory that they read.
#pragma once

#include <cstddef>
#include <functional>

#include "kernels/api/adamw.h"
#include "kernels/api/adapter.h"
#include "kernels/api/cross_entropy.h"
#include "kernels/api/glu.h"
#include "kernels/api/packed.h"
#include "kernels/api/rmsnorm.h"
#include "kernels/api/rotary.h"

namespace finetune::kernels::testing {

struct Memory {
  std::function<void*(const void* host, std::size_t bytes)> upload;
  std::function<void(void* host, const void* device, std::size_t bytes)> download;  ///< waits for all kernels
  std::function<void(void* device)> release;
};

/// Defined once per test program (emulated.cpp, device.cpp).
const Memory& memory();
/// Empty, or why nothing can be run.
const char* skipped();

}  // namespace finetune::kernels::testing
