// A byte of codes per thread: two elements of nf4, one of int8. Limit: 0.5 or 1 byte read and 2 or 4 written an
// element.
#include "kernels/api/packed.h"
#include "kernels/cuda/common.cuh"

namespace finetune::kernels::cuda {
namespace {

struct Nf4Numbers {
  float of_code[16];
};

Nf4Numbers nf4_numbers() {
  Nf4Numbers numbers{};
  for (int i = 0; i < 16; ++i) numbers.of_code[i] = kNf4[i];
  return numbers;
}

__device__ inline float absmax_of(const Packed& p, std::int64_t block) {
  if (p.absmax_codes == nullptr) return p.absmax[block];
  return rounded_product(p.map[p.absmax_codes[block]], p.absmax[block / kAbsmaxBlock]) + *p.offset;
}

template <typename T>
__global__ void nf4_kernel(Dequantize args, Nf4Numbers numbers) {
  __shared__ float number[16];
  if (threadIdx.x < 16) number[threadIdx.x] = numbers.of_code[threadIdx.x];
  __syncthreads();
  const std::int64_t elements = args.from.rows * args.from.columns;
  const std::int64_t first = 2 * (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x);
  if (first >= elements) return;
  const int byte = args.from.codes[first / 2];
  const float absmax = absmax_of(args.from, first / kNf4Block);  // a block has whole bytes
  T* w = static_cast<T*>(args.w) + first;
  store(w, number[byte >> 4] * absmax);
  if (first + 1 < elements) store(w + 1, number[byte & 15] * absmax);
}

template <typename T>
__global__ void int8_kernel(Dequantize args) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= args.from.rows * args.from.columns) return;
  const auto code = static_cast<float>(static_cast<std::int8_t>(args.from.codes[i]));
  store(static_cast<T*>(args.w) + i, rounded_product(code, args.from.absmax[i / args.from.columns]) * kOver127);
}

}  // namespace

Status dequantize(const Dequantize& args, Stream stream) {
  const std::int64_t elements = args.from.rows * args.from.columns;
  return with_type(args.type, [&]<typename T>(T) {
    if (args.from.code == Code::int8)
      return launch(int8_kernel<T>, dim3(blocks(elements, kThreads)), kThreads, stream, args);
    return launch(nf4_kernel<T>, dim3(blocks(elements, 2 * kThreads)), kThreads, stream, args, nf4_numbers());
  });
}

}  // namespace finetune::kernels::cuda
