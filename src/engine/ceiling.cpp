#include "engine/ceiling.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>

#include "kernels/torch/threads.h"

namespace finetune {
namespace {

// The shortest of some tries; the first also pays for memory and threads that are used for the first time.
template <typename Work>
double shortest(const Work& work) {
  constexpr int kTries = 5;
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    const auto started = std::chrono::steady_clock::now();
    work();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    best = i == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

}  // namespace

Ceiling measure_ceiling(int threads, at::ScalarType dtype) {
  set_thread_count(threads);
  constexpr std::int64_t kBytes = std::int64_t{64} << 20;
  const at::Tensor x = at::ones({kCeilingSize, kCeilingSize}, dtype), w = at::ones_like(x);
  at::Tensor y = at::empty_like(x);
  const double product = shortest([&] { at::mm_out(y, x, w); });
  const at::Tensor from = at::ones({kBytes / 4}, at::kFloat);
  at::Tensor to = at::empty_like(from);
  const double copy = shortest([&] { to.copy_(from); });
  const double size = static_cast<double>(kCeilingSize);
  return {.flops = 2 * size * size * size / product, .bytes = 2 * static_cast<double>(kBytes) / copy};
}

}  // namespace finetune
