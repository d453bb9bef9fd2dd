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

constexpr int kLanes = 32;  // of a warp

/// Combines one value per lane of a warp in a fixed order. Lane 0's is the result, and all lanes' where combine(a, b)
/// has the bits of combine(b, a).
template <typename Value, typename Combine>
__device__ Value warp_reduce(Value value, const Combine& combine) {
  for (int mask = kLanes / 2; mask > 0; mask /= 2) value = combine(value, across(value, mask));
  return value;
}

/// Combines one value per thread of a block of kBlock, by warps and then through `buffer` (shared memory, a value a
/// warp, for this call alone), in a fixed order; all threads get the result.
template <int kBlock = kThreads, typename Value, typename Combine>
__device__ Value block_reduce(Value value, Value* buffer, const Combine& combine) {
  const int thread = static_cast<int>(threadIdx.x);
  value = warp_reduce(value, combine);
  if (thread % kLanes == 0) buffer[thread / kLanes] = value;
  __syncthreads();
  Value result = buffer[0];
  for (int warp = 1; warp < kBlock / kLanes; ++warp) result = combine(result, buffer[warp]);
  return result;
}

struct Plus {
  template <typename Value>
  __device__ Value operator()(Value a, Value b) const {
    return a + b;
  }
};

template <int kBlock = kThreads, typename Value>
__device__ Value block_sum(Value value, Value* buffer) {
  return block_reduce<kBlock>(value, buffer, Plus{});
}

__device__ inline bool is_aligned(const void* address, unsigned bytes) {
  return (reinterpret_cast<unsigned long long>(address) & (bytes - 1)) == 0;
}

/// 16 bytes of neighbours: 8 in bf16, 4 in fp32. Elements from `count` on are not in memory: zero, and not written. In
/// one access where they are all there and their address allows it, else one by one.
template <typename T>
constexpr int kMany = 16 / sizeof(T);
template <typename T>
using Many = Packet<T, kMany<T>>;

template <typename T>
__device__ Many<T> load_many(const T* from, std::int64_t count) {
  if (count >= kMany<T> && is_aligned(from, 16)) return load_packet<kMany<T>>(from);
  Many<T> many;
  for (int k = 0; k < kMany<T>; ++k) {
    if (k < count)
      many.at[k] = from[k];
    else
      store(&many.at[k], 0.0f);
  }
  return many;
}

template <typename T>
__device__ void store_many(T* to, const Many<T>& many, std::int64_t count) {
  if (count >= kMany<T> && is_aligned(to, 16)) return store_packet(to, many);
  for (int k = 0; k < kMany<T>; ++k) {
    if (k < count) to[k] = many.at[k];
  }
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
