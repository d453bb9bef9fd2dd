// All that the kernels take from CUDA: the bf16 type, accesses of several elements, copies that run behind a thread's
// back, products on tensor cores, a launch. The tests put a file of the same name in front of this one and run the
// kernels, thread by thread, on the CPU: so kernels use only what is here, shared memory, __syncthreads and the
// mathematics of <cmath>.
#pragma once

#include <cuda_bf16.h>
#include <cuda_pipeline.h>
#include <cuda_runtime.h>
#include <mma.h>

#include <cstring>

#include "kernels/api/kernel.h"

namespace finetune::kernels::cuda {

using Bf16 = __nv_bfloat16;

__device__ inline float to_float(float value) {
  return value;
}
__device__ inline float to_float(Bf16 value) {
  return __bfloat162float(value);
}
__device__ inline void store(float* to, float value) {
  *to = value;
}
__device__ inline void store(Bf16* to, float value) {
  *to = __float2bfloat16_rn(value);
}

/// Rounded on its own: never fused with the sum behind it.
__device__ inline float rounded_product(float a, float b) {
  return __fmul_rn(a, b);
}

/// kCount neighbours in memory, read or written in one access of 8 or 16 bytes; their address is a multiple of that.
template <typename T, int kCount>
struct alignas(sizeof(T) * kCount) Packet {
  T at[kCount];
};
template <int kBytes>
struct Bits;
template <>
struct Bits<8> {
  using Type = uint2;
};
template <>
struct Bits<16> {
  using Type = uint4;
};
template <int kCount, typename T>
__device__ Packet<T, kCount> load_packet(const T* from) {
  const auto bits = *reinterpret_cast<const typename Bits<sizeof(T) * kCount>::Type*>(from);
  Packet<T, kCount> packet;
  memcpy(&packet, &bits, sizeof(packet));
  return packet;
}
template <int kCount, typename T>
__device__ void store_packet(T* to, const Packet<T, kCount>& packet) {
  typename Bits<sizeof(T) * kCount>::Type bits;
  memcpy(&bits, &packet, sizeof(packet));
  *reinterpret_cast<decltype(bits)*>(to) = bits;
}

/// The value of the lane whose number differs from the own one in the bits of `mask`. All 32 lanes of a warp call.
template <typename T>
__device__ T across(const T& value, int mask) {
  static_assert(sizeof(T) % sizeof(unsigned) == 0);
  unsigned words[sizeof(T) / sizeof(unsigned)];
  memcpy(words, &value, sizeof(T));
  for (unsigned& word : words) word = __shfl_xor_sync(0xffffffffu, word, mask);
  T other;
  memcpy(&other, words, sizeof(T));
  return other;
}

/// Begins to copy 16 bytes from device to shared memory, both addresses multiples of 16. They are there, for the thread
/// that asked, behind the next wait_for_copies, and for its block behind the next __syncthreads.
__device__ inline void copy_later(void* shared, const void* from) {
  __pipeline_memcpy_async(shared, from, 16);
}
__device__ inline void wait_for_copies() {
  __pipeline_commit();
  __pipeline_wait_prior(0);
}

/// Which elements of a matrix are neighbours in memory: those of a row or of a column.
enum class Order { rows, columns };

template <Order kOrder>
using Layout = std::conditional_t<kOrder == Order::rows, nvcuda::wmma::row_major, nvcuda::wmma::col_major>;

// The instruction for shared memory: load_matrix_sync takes any address, of which the compiler often does not see that
// it is shared, and then loads a number at a time.
#define FINETUNE_LOAD_MATRIX(which, order)                                                                    \
  asm volatile("wmma.load." which ".sync.aligned." order ".m16n16k16.shared.bf16 {%0, %1, %2, %3}, [%4], %5;" \
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])                               \
               : "r"(address), "r"(pitch)                                                                     \
               : "memory")

/// Matrices of 16 x 16 that a warp holds together, for products on tensor cores: sum += left x right, factors in bf16,
/// products and sums in fp32. All 32 lanes call, with the same arguments; what a lane holds is the device's affair.
/// `pitch`: elements from row to row (or column to column), a multiple of 8; addresses are of shared memory and
/// multiples of 32 bytes. An element's bits depend on its row of the left and its column of the right factor alone.
template <typename Use, Order kOrder>
struct FactorFragment {
  nvcuda::wmma::fragment<Use, 16, 16, 16, Bf16, Layout<kOrder>> held;
  __device__ void load(const Bf16* from, int pitch) {
    const auto address = static_cast<unsigned>(__cvta_generic_to_shared(from));
    unsigned words[4];
    static_assert(sizeof(held.x) == sizeof(words));
    if constexpr (std::is_same_v<Use, nvcuda::wmma::matrix_a>) {
      if constexpr (kOrder == Order::rows)
        FINETUNE_LOAD_MATRIX("a", "row");
      else
        FINETUNE_LOAD_MATRIX("a", "col");
    } else if constexpr (kOrder == Order::rows) {
      FINETUNE_LOAD_MATRIX("b", "row");
    } else {
      FINETUNE_LOAD_MATRIX("b", "col");
    }
    memcpy(held.x, words, sizeof(words));
  }
};
#undef FINETUNE_LOAD_MATRIX
template <Order kOrder>
using LeftFragment = FactorFragment<nvcuda::wmma::matrix_a, kOrder>;
template <Order kOrder>
using RightFragment = FactorFragment<nvcuda::wmma::matrix_b, kOrder>;

struct SumFragment {
  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> held;
  __device__ void clear() { nvcuda::wmma::fill_fragment(held, 0.0f); }
  template <typename Left, typename Right>
  __device__ void add_product(const Left& left, const Right& right) {
    nvcuda::wmma::mma_sync(held, left.held, right.held, held);
  }
  __device__ void store(float* to, int pitch, Order order) const {
    nvcuda::wmma::store_matrix_sync(to, held, pitch,
                                    order == Order::rows ? nvcuda::wmma::mem_row_major : nvcuda::wmma::mem_col_major);
  }
};

template <typename... Parameters, typename... Arguments>
Status launch(void (*kernel)(Parameters...), dim3 grid, int threads, Stream stream, const Arguments&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return {};
  kernel<<<grid, threads, 0, static_cast<cudaStream_t>(stream.handle)>>>(arguments...);
  const cudaError_t error = cudaGetLastError();
  return {error == cudaSuccess ? nullptr : cudaGetErrorString(error)};
}

}  // namespace finetune::kernels::cuda
