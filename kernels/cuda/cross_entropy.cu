// One block per row: three passes, each element is written by the thread that read it.
#include "kernels/api/cross_entropy.h"
#include "kernels/cuda/common.cuh"

namespace finetune::kernels::cuda {
namespace {

struct Largest {
  float value;
  std::int64_t index;
};
struct FirstLargest {
  __device__ Largest operator()(Largest a, Largest b) const {
    const bool second = b.value > a.value || (b.value == a.value && b.index < a.index);
    return second ? b : a;
  }
};

template <typename T>
__global__ void cross_entropy_kernel(CrossEntropy args) {
  __shared__ Largest candidates[kThreads];
  __shared__ float sums[kThreads];
  const std::int64_t r = blockIdx.x, target = args.targets[r];
  const T* x = static_cast<const T*>(args.logits) + r * args.logits_row;
  const float target_logit = to_float(x[target]);  // before dlogits may overwrite it

  Largest best{-INFINITY, args.vocabulary};
  for (std::int64_t v = threadIdx.x; v < args.vocabulary; v += kThreads) {
    best = FirstLargest{}(best, Largest{to_float(x[v]), v});
  }
  best = block_reduce(best, candidates, FirstLargest{});

  float sum = 0;
  for (std::int64_t v = threadIdx.x; v < args.vocabulary; v += kThreads) sum += expf(to_float(x[v]) - best.value);
  sum = block_sum(sum, sums);
  if (threadIdx.x == 0) {
    args.nll[r] = logf(sum) + (best.value - target_logit);
    args.correct[r] = best.index == target;
  }
  if (args.dlogits == nullptr) return;

  T* d = static_cast<T*>(args.dlogits) + r * args.dlogits_row;
  for (std::int64_t v = threadIdx.x; v < args.vocabulary; v += kThreads) {
    const float probability = expf(to_float(x[v]) - best.value) / sum;
    store(d + v, (probability - (v == target ? 1.0f : 0.0f)) * args.scale[r]);
  }
}

__global__ void row_sums_kernel(RowSums args) {
  __shared__ double buffer[kThreads];
  const RowRange& range = args.ranges[blockIdx.x];
  double sum = 0;
  for (std::int64_t r = range.begin + threadIdx.x; r < range.end; r += kThreads) sum += args.values[r];
  sum = block_sum(sum, buffer);
  if (threadIdx.x == 0) args.sums[range.to] += sum;
}

}  // namespace

Status row_sums(const RowSums& args, Stream stream) {
  return launch(row_sums_kernel, dim3(blocks(args.range_count, 1)), kThreads, stream, args);
}

Status cross_entropy(const CrossEntropy& args, Stream stream) {
  return with_type(args.type, [&]<typename T>(T) {
    return launch(cross_entropy_kernel<T>, dim3(blocks(args.rows, 1)), kThreads, stream, args);
  });
}

}  // namespace finetune::kernels::cuda
