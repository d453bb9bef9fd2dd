// Threads of a block as fibers: each runs until it waits, for its block or for its warp. Every other block runs its
// threads in reverse, so that a missing barrier shows as a wrong value. A wait that cannot end, and lanes of a warp
// that do not make the same warp-wide calls, end the launch with a problem.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <mutex>
#include <vector>

#include "kernels/api/kernel.h"

namespace finetune::kernels::cuda::emulation {

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3() = default;
  dim3(unsigned x_, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
inline dim3 threadIdx, blockIdx;
inline std::mutex one_at_a_time;  // launches: what a block shares is static

enum class Fiber { runs, waits_for_block, waits_for_warp, done };

struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
};

struct Thread {
  ucontext_t context{};
  Fiber state = Fiber::runs;
  std::uint64_t calls = 0;  ///< hash of its warp-wide calls
  std::vector<Copy> copies;
  const void* given[3] = {};  ///< what it brought to the meeting of its warp
};

struct Block {
  ucontext_t scheduler{};
  std::vector<Thread> threads;
  std::size_t current = 0;
  std::function<void()> body;
  const char* problem = nullptr;
};
inline Block block;
inline constexpr std::size_t kLanes = 32;

inline void fail(const char* problem) {
  if (block.problem == nullptr) block.problem = problem;
}

inline int lane() {
  return static_cast<int>(block.current % kLanes);
}

inline void pause(Fiber state) {
  Thread& thread = block.threads[block.current];
  thread.state = state;
  swapcontext(&thread.context, &block.scheduler);
}

inline void require_aligned(const void* address, std::size_t bytes) {
  if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0) fail("an access is not aligned");
}

/// Notes a call that all lanes of the warp have to make alike.
inline void called_together(const void* address, int pitch) {
  std::uint64_t& calls = block.threads[block.current].calls;
  calls = (calls + reinterpret_cast<std::uintptr_t>(address) + static_cast<unsigned>(pitch) + 1) * 0x9E3779B97F4A7C15;
}
inline void compare_calls(std::size_t first) {
  for (std::size_t t = first; t < std::min(first + kLanes, block.threads.size()); ++t) {
    if (block.threads[t].calls != block.threads[first].calls) fail("lanes of a warp do not call together");
  }
}

/// The last lane of the warp to come does the work of all, with what each of them brought; then they go on.
template <typename Work>
void meet(const void* const (&mine)[3], const Work& work) {
  std::copy(mine, mine + 3, block.threads[block.current].given);
  const std::size_t first = block.current / kLanes * kLanes;
  block.threads[block.current].state = Fiber::waits_for_warp;
  const void* all[3][kLanes];
  for (std::size_t l = 0; l < kLanes; ++l) {
    if (first + l >= block.threads.size()) return fail("a warp-wide call in a block without whole warps");
    if (block.threads[first + l].state != Fiber::waits_for_warp) return pause(Fiber::waits_for_warp);
    for (int i = 0; i < 3; ++i) all[i][l] = block.threads[first + l].given[i];
  }
  compare_calls(first);
  work(all);
  for (std::size_t l = 0; l < kLanes; ++l) block.threads[first + l].state = Fiber::runs;
}

inline void wait_for_block() {
  pause(Fiber::waits_for_block);
}

/// What is copied is not there before its thread has waited: NaN, whatever it is read as.
inline void copy_later(void* to, const void* from, std::size_t bytes) {
  std::memset(to, 0xff, bytes);
  block.threads[block.current].copies.push_back({to, from, bytes});
}
inline void wait_for_copies() {
  for (const Copy& copy : block.threads[block.current].copies) std::memcpy(copy.to, copy.from, copy.bytes);
  block.threads[block.current].copies.clear();
}

inline void fiber_main() {
  block.body();
  if (!block.threads[block.current].copies.empty()) fail("a thread ends before its copies are there");
  pause(Fiber::done);
}

/// Lets all go on who wait at the block's barrier, which everybody has reached who is not done; false when all are.
inline bool open_barrier() {
  bool waiting = false;
  for (std::size_t t = 0; t < block.threads.size(); ++t) {
    if (t % kLanes == 0) compare_calls(t);
    if (block.threads[t].state == Fiber::waits_for_warp) fail("a lane waits for others of its warp that never come");
    waiting = waiting || block.threads[t].state == Fiber::waits_for_block;
  }
  for (Thread& thread : block.threads) {
    if (thread.state == Fiber::waits_for_block) thread.state = Fiber::runs;
  }
  return waiting && block.problem == nullptr;
}

inline void run_block(std::size_t count, bool last_first, std::vector<char>& stacks, std::size_t stack) {
  block.threads.assign(count, {});
  for (std::size_t t = 0; t < count; ++t) {
    ucontext_t& context = block.threads[t].context;
    getcontext(&context);
    context.uc_stack.ss_sp = stacks.data() + t * stack;
    context.uc_stack.ss_size = stack;
    makecontext(&context, fiber_main, 0);
  }
  do {
    for (bool progress = true; progress && block.problem == nullptr;) {
      progress = false;
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t t = last_first ? count - 1 - i : i;
        if (block.threads[t].state != Fiber::runs) continue;
        block.current = t;
        threadIdx = dim3(static_cast<unsigned>(t), 0, 0);
        swapcontext(&block.scheduler, &block.threads[t].context);
        progress = true;
      }
    }
  } while (block.problem == nullptr && open_barrier());
}

template <typename... Parameters, typename... Arguments>
Status launch(void (*kernel)(Parameters...), dim3 grid, int threads, Stream, const Arguments&... arguments) {
  const std::lock_guard lock(one_at_a_time);
  constexpr std::size_t kStack = 64 << 10;
  std::vector<char> stacks(static_cast<std::size_t>(threads) * kStack);
  block.body = [&] { kernel(arguments...); };
  block.problem = nullptr;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x && block.problem == nullptr; ++x) {
        blockIdx = dim3(x, y, z);
        run_block(static_cast<std::size_t>(threads), (x + y + z) % 2 == 1, stacks, kStack);
      }
    }
  }
  return {block.problem};
}

}  // namespace finetune::kernels::cuda::emulation
