// One block per row: one pass for the largest logit and the sum of exponentials, one that writes the gradient; 16 bytes
// an access, and an element is written by the thread that read it. Limit: bytes, two reads and a write.
#include "kernels/api/cross_entropy.h"
#include "kernels/cuda/common.cuh"

namespace finetune::kernels::cuda {
namespace {

// The largest of some logits, where it is first, and the sum of exponentials below it (Milakov & Gimelshein, 2018).
struct Softmax {
  float largest, sum;
  std::int64_t index;
};
// 1 between equals, infinities too: nothing was seen yet.
__device__ float below(float value, float largest) {
  return value == largest ? 1.0f : expf(value - largest);
}
struct Together {
  __device__ Softmax operator()(Softmax a, Softmax b) const {
    const bool second = b.largest > a.largest || (b.largest == a.largest && b.index < a.index);
    const float largest = second ? b.largest : a.largest;
    return {largest, a.sum * below(a.largest, largest) + b.sum * below(b.largest, largest), second ? b.index : a.index};
  }
};

// `softmax` with `count` logits from `first` on.
template <typename T>
__device__ void take(const Many<T>& logits, std::int64_t first, std::int64_t count, Softmax& softmax) {
  float largest = softmax.largest;
  for (int k = 0; k < kMany<T>; ++k) {
    const float x = to_float(logits.at[k]);
    if (k >= count || !(x > largest)) continue;
    largest = x;
    softmax.index = first + k;
  }
  softmax.sum *= below(softmax.largest, largest);
  softmax.largest = largest;
  for (int k = 0; k < kMany<T>; ++k) {
    if (k < count) softmax.sum += expf(to_float(logits.at[k]) - largest);
  }
}

template <typename T>
__global__ void cross_entropy_kernel(CrossEntropy args) {
  __shared__ Softmax buffer[kThreads / kLanes];
  const std::int64_t r = blockIdx.x, target = args.targets[r];
  const T* x = static_cast<const T*>(args.logits) + r * args.logits_row;
  const float target_logit = to_float(x[target]);  // before dlogits may overwrite it

  Softmax softmax{-INFINITY, 0, args.vocabulary};
  for (std::int64_t v = threadIdx.x * kMany<T>; v < args.vocabulary; v += kThreads * kMany<T>) {
    take(load_many(x + v, args.vocabulary - v), v, args.vocabulary - v, softmax);
  }
  softmax = block_reduce(softmax, buffer, Together{});
  if (threadIdx.x == 0) {
    args.nll[r] = logf(softmax.sum) + (softmax.largest - target_logit);
    args.correct[r] = softmax.index == target;
  }
  if (args.dlogits == nullptr) return;

  T* d = static_cast<T*>(args.dlogits) + r * args.dlogits_row;
  const float scale = args.scale[r];
  for (std::int64_t v = threadIdx.x * kMany<T>; v < args.vocabulary; v += kThreads * kMany<T>) {
    Many<T> many = load_many(x + v, args.vocabulary - v);
    for (int k = 0; k < kMany<T>; ++k) {
      const float probability = expf(to_float(many.at[k]) - softmax.largest) / softmax.sum;
      store(&many.at[k], (probability - (v + k == target ? 1.0f : 0.0f)) * scale);
    }
    store_many(d + v, many, args.vocabulary - v);
  }
}

__global__ void row_sums_kernel(RowSums args) {
  __shared__ double buffer[kThreads / kLanes];
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
