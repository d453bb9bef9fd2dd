// One block per row; the weight's gradient one block per 32 columns.
#include "kernels/api/rmsnorm.h"
#include "kernels/cuda/common.cuh"

namespace finetune::kernels::cuda {
namespace {

// What a column is multiplied by.
template <typename T>
__device__ float weight(const T* w, std::int64_t i, bool unit_offset) {
  return unit_offset ? 1.0f + to_float(w[i]) : to_float(w[i]);
}

template <typename T>
__global__ void forward_kernel(RmsnormForward args) {
  __shared__ float buffer[kThreads];
  const std::int64_t r = blockIdx.x;
  const T *x = static_cast<const T*>(args.x) + r * args.x_row, *w = static_cast<const T*>(args.w);
  T* y = static_cast<T*>(args.y) + r * args.y_row;
  float squares = 0;
  for (std::int64_t i = threadIdx.x; i < args.width; i += kThreads) squares += to_float(x[i]) * to_float(x[i]);
  const float mean = block_sum(squares, buffer) / static_cast<float>(args.width);
  const float rstd = 1.0f / sqrtf(mean + args.epsilon);
  if (threadIdx.x == 0) args.rstd[r] = rstd;
  for (std::int64_t i = threadIdx.x; i < args.width; i += kThreads) {
    const float n = to_float(x[i]) * rstd;
    store(y + i, (args.unit_offset ? n : rounded<T>(n)) * weight(w, i, args.unit_offset));
  }
}

template <typename T>
__global__ void backward_kernel(RmsnormBackward args) {
  __shared__ float buffer[kThreads];
  const std::int64_t r = blockIdx.x;
  const T *dy = static_cast<const T*>(args.dy) + r * args.dy_row, *x = static_cast<const T*>(args.x) + r * args.x_row;
  const T* w = static_cast<const T*>(args.w);
  T* dx = static_cast<T*>(args.dx) + r * args.dx_row;
  const float rstd = args.rstd[r];
  float dot = 0;
  for (std::int64_t i = threadIdx.x; i < args.width; i += kThreads) {
    dot += to_float(dy[i]) * weight(w, i, args.unit_offset) * (to_float(x[i]) * rstd);
  }
  const float mean = block_sum(dot, buffer) / static_cast<float>(args.width);
  for (std::int64_t i = threadIdx.x; i < args.width; i += kThreads) {
    const float d = (to_float(dy[i]) * weight(w, i, args.unit_offset) - to_float(x[i]) * rstd * mean) * rstd;
    store(dx + i, args.accumulate ? to_float(dx[i]) + d : d);
  }
}

constexpr int kColumns = 32, kLanes = kThreads / kColumns;  // 32 neighbours of 4 bytes: a whole memory transaction

template <typename T>
__global__ void weight_gradient_kernel(RmsnormWeightGradient args) {
  __shared__ float lanes[kLanes][kColumns];
  const int column = static_cast<int>(threadIdx.x) % kColumns, lane = static_cast<int>(threadIdx.x) / kColumns;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kColumns + column;
  const T *dy = static_cast<const T*>(args.dy) + i, *x = static_cast<const T*>(args.x) + i;
  float sum = 0;
  if (i < args.width) {
    for (std::int64_t r = lane; r < args.rows; r += kLanes) {
      sum += to_float(dy[r * args.dy_row]) * (to_float(x[r * args.x_row]) * args.rstd[r]);
    }
  }
  lanes[lane][column] = sum;
  __syncthreads();
  if (lane != 0 || i >= args.width) return;
  for (int other = 1; other < kLanes; ++other) sum += lanes[other][column];
  args.dw[i] += sum;
}

}  // namespace

Status rmsnorm_forward(const RmsnormForward& args, Stream stream) {
  return with_type(args.type, [&]<typename T>(T) {
    return launch(forward_kernel<T>, dim3(blocks(args.rows, 1)), kThreads, stream, args);
  });
}

Status rmsnorm_backward(const RmsnormBackward& args, Stream stream) {
  return with_type(args.type, [&]<typename T>(T) {
    return launch(backward_kernel<T>, dim3(blocks(args.rows, 1)), kThreads, stream, args);
  });
}

Status rmsnorm_weight_gradient(const RmsnormWeightGradient& args, Stream stream) {
  return with_type(args.type, [&]<typename T>(T) {
    return launch(weight_gradient_kernel<T>, dim3(blocks(args.width, kColumns)), kThreads, stream, args);
  });
}

}  // namespace finetune::kernels::cuda
