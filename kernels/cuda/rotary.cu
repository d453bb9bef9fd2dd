// One block per row, one thread per pair.
#include "kernels/api/rotary.h"
#include "kernels/cuda/common.cuh"

namespace finetune::kernels::cuda {
namespace {

template <typename T>
__global__ void rotary_kernel(Rotary args) {
  const std::int64_t r = blockIdx.x, half = args.dim / 2;
  T* row = static_cast<T*>(args.x) + r * args.x_row;
  const float *cos = args.cos + args.positions[r] * half, *sin = args.sin + args.positions[r] * half;
  for (std::int64_t pair = threadIdx.x; pair < args.heads * half; pair += kThreads) {
    const std::int64_t head = pair / half, i = pair % half;
    T *first = row + head * args.x_head + i, *second = first + half;
    const float c = rounded<T>(cos[i]), s = rounded<T>(args.inverse ? -sin[i] : sin[i]);
    const float a = to_float(*first), b = to_float(*second);
    store(first, rounded<T>(a * c) - rounded<T>(b * s));
    store(second, rounded<T>(b * c) + rounded<T>(a * s));
  }
}

}  // namespace

Status rotary(const Rotary& args, Stream stream) {
  return with_type(args.type, [&]<typename T>(T) {
    return launch(rotary_kernel<T>, dim3(blocks(args.rows, 1)), kThreads, stream, args);
  });
}

}  // namespace finetune::kernels::cuda
