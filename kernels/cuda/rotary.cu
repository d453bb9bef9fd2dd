// A thread has 16 bytes of each half of a head. Limit: bytes of x, read and written.
#include "kernels/api/rotary.h"
#include "kernels/cuda/common.cuh"

namespace finetune::kernels::cuda {
namespace {

// Numbers of a table, as many as a packet of T has, rounded to T.
template <typename T>
struct Angles {
  float at[kMany<T>];
  __device__ Angles(const float* from, std::int64_t count) {
    for (int first = 0; first < kMany<T>; first += 4) {
      const Packet<float, 4> some = load_many(from + first, count - first);
      for (int k = 0; k < 4; ++k) at[first + k] = rounded<T>(some.at[k]);
    }
  }
};

template <typename T>
__global__ void rotary_kernel(Rotary args, unsigned packets) {
  const std::int64_t half = args.dim / 2;
  const unsigned of_row = static_cast<unsigned>(args.heads) * packets;  // in 32 bits: their division is quick
  const unsigned index = blockIdx.x * kThreads + threadIdx.x, r = index / of_row;
  if (r >= args.rows) return;
  const unsigned head = index % of_row / packets, i = index % packets * kMany<T>;
  const std::int64_t angle = args.positions[r] * half + i, left = half - i;
  T* first = static_cast<T*>(args.x) + r * args.x_row + head * args.x_head + i;
  T* second = first + half;
  const Angles<T> cos(args.cos + angle, left), sin(args.sin + angle, left);
  Many<T> a = load_many(first, left), b = load_many(second, left);
  for (int k = 0; k < kMany<T>; ++k) {
    const float c = cos.at[k], s = args.inverse ? -sin.at[k] : sin.at[k];
    const float x = to_float(a.at[k]), y = to_float(b.at[k]);
    store(&a.at[k], rounded<T>(x * c) - rounded<T>(y * s));
    store(&b.at[k], rounded<T>(y * c) + rounded<T>(x * s));
  }
  store_many(first, a, left);
  store_many(second, b, left);
}

}  // namespace

Status rotary(const Rotary& args, Stream stream) {
  return with_type(args.type, [&]<typename T>(T) {
    const unsigned packets = blocks(args.dim / 2, kMany<T>);
    const dim3 grid(blocks(args.rows * args.heads * packets, kThreads));
    return launch(rotary_kernel<T>, grid, kThreads, stream, args, packets);
  });
}

}  // namespace finetune::kernels::cuda
