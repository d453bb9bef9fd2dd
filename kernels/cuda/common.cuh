// What several families use: sums over a block in a fixed order, rounding, the choice of the storage type.
#pragma once

#include "kernels/cuda/device.cuh"

namespace finetune::kernels::cuda {

constexpr int kThreads = 256;  // of a block in every family; a power of two

template <typename T>
__device__ float rounded(float value) {
  T stored;
  store(&stored, value);
  return to_float(stored);
}

/// Combines one value per thread by a tree over `buffer` (kThreads elements of shared memory); all threads get the
/// result.
template <typename Value, typename Combine>
__device__ Value block_reduce(Value value, Value* buffer, const Combine& combine) {
  const int thread = static_cast<int>(threadIdx.x);
  buffer[thread] = value;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half) buffer[thread] = combine(buffer[thread], buffer[thread + half]);
  }
  __syncthreads();
  const Value result = buffer[0];
  __syncthreads();  // `buffer` may be used again
  return result;
}

struct Plus {
  template <typename Value>
  __device__ Value operator()(Value a, Value b) const {
    return a + b;
  }
};

template <typename Value>
__device__ Value block_sum(Value value, Value* buffer) {
  return block_reduce(value, buffer, Plus{});
}

/// Calls work(float{}) or work(Bf16{}).
template <typename Work>
Status with_type(Type type, const Work& work) {
  return type == Type::f32 ? work(float{}) : work(Bf16{});
}

inline unsigned blocks(std::int64_t items, std::int64_t each) {
  return static_cast<unsigned>((items + each - 1) / each);
}

}  // namespace finetune::kernels::cuda
