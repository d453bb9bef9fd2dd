// Stands in front of kernels/cuda/device.cuh in a test: a kernel is an ordinary function, and launch() runs it block by
// block, each thread of a block a fiber that runs until its next __syncthreads. Every other block runs its threads in
// reverse, so that a missing barrier shows as a wrong value.
#pragma once

#include <ucontext.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/api/kernel.h"
#include "kernels/ref/storage.h"

#define __global__
#define __device__
#define __shared__ static  // blocks run one after the other

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3() = default;
  dim3(unsigned x_, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace finetune::kernels::cuda {

struct Emulation {
  bool last_thread_first = false;
  ucontext_t scheduler{};
  std::vector<ucontext_t> threads;
  std::vector<bool> done;
  std::size_t current = 0;
  std::function<void()> body;
};
inline Emulation emulation;
inline dim3 threadIdx, blockIdx;

inline void fiber_main() {
  emulation.body();
  emulation.done[emulation.current] = true;
  swapcontext(&emulation.threads[emulation.current], &emulation.scheduler);
}
inline void __syncthreads() {
  swapcontext(&emulation.threads[emulation.current], &emulation.scheduler);
}

inline void run_block(std::size_t count, std::vector<char>& stacks, std::size_t stack) {
  emulation.threads.assign(count, {});
  emulation.done.assign(count, false);
  for (std::size_t t = 0; t < count; ++t) {
    getcontext(&emulation.threads[t]);
    emulation.threads[t].uc_stack.ss_sp = stacks.data() + t * stack;
    emulation.threads[t].uc_stack.ss_size = stack;
    makecontext(&emulation.threads[t], fiber_main, 0);
  }
  for (bool running = true; running;) {
    running = false;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t t = emulation.last_thread_first ? count - 1 - i : i;
      if (emulation.done[t]) continue;
      emulation.current = t;
      threadIdx = dim3(static_cast<unsigned>(t), 0, 0);
      swapcontext(&emulation.scheduler, &emulation.threads[t]);
      running = true;
    }
  }
}

using Bf16 = struct Bf16Bits { std::uint16_t bits; };
inline float to_float(float value) {
  return value;
}
inline float to_float(Bf16 value) {
  return ref::from_bf16(value.bits);
}
inline void store(float* to, float value) {
  *to = value;
}
inline void store(Bf16* to, float value) {
  to->bits = ref::to_bf16(value);
}

inline float rounded_product(float a, float b) {
  volatile float product = a * b;
  return product;
}

template <typename... Parameters, typename... Arguments>
Status launch(void (*kernel)(Parameters...), dim3 grid, int threads, Stream, const Arguments&... arguments) {
  constexpr std::size_t kStack = 64 << 10;
  std::vector<char> stacks(static_cast<std::size_t>(threads) * kStack);
  emulation.body = [&] { kernel(arguments...); };
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        emulation.last_thread_first = (x + y + z) % 2 == 1;
        run_block(static_cast<std::size_t>(threads), stacks, kStack);
      }
    }
  }
  return {};
}

}  // namespace finetune::kernels::cuda
