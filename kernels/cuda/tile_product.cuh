// A block's part of a matrix product: 32 rows times kColumns columns, through shared memory, in fp32. An element is one
// sum over the depth in order, so its bits do not depend on the tile it lies in.
#pragma once

#include "kernels/cuda/common.cuh"

namespace finetune::kernels::cuda {

constexpr int kRows = 32, kDepth = 32;            // of a tile
constexpr int kThreadsPerRow = kThreads / kRows;  // thread t has row t / 8 and every eighth column from t % 8

/// Element (i, k): row i of the left factor or column i of the right one, at depth k. Zero outside `count` x `depth`.
struct Factor {
  const float* data;
  std::int64_t stride, depth_stride, count, depth;
  __device__ float at(std::int64_t i, std::int64_t k) const {
    return i < count && k < depth ? data[i * stride + k * depth_stride] : 0.0f;
  }
  __device__ bool along_depth() const { return depth_stride == 1; }  ///< neighbours in memory are neighbours in depth
};

/// Copies kCount x kDepth elements from depth k; neighbouring threads read neighbouring elements.
template <int kCount, typename F>
__device__ void load_tile(const F& factor, std::int64_t k, float (*tile)[kDepth + 1]) {
  const bool along_depth = factor.along_depth();
  for (int e = static_cast<int>(threadIdx.x); e < kCount * kDepth; e += kThreads) {
    const int i = along_depth ? e / kDepth : e % kCount, d = along_depth ? e % kDepth : e / kCount;
    tile[i][d] = factor.at(i, k + d);
  }
}

/// sum[j] = element (thread / 8, thread % 8 + 8 j) of left x right.
template <int kColumns, typename Left, typename Right>
__device__ void tile_product(const Left& left, const Right& right, std::int64_t depth,
                             float (&sum)[kColumns / kThreadsPerRow]) {
  __shared__ float left_tile[kRows][kDepth + 1], right_tile[kColumns][kDepth + 1];  // + 1: no bank conflicts
  const int row = static_cast<int>(threadIdx.x) / kThreadsPerRow;
  const int column = static_cast<int>(threadIdx.x) % kThreadsPerRow;
  for (float& value : sum) value = 0;
  for (std::int64_t k = 0; k < depth; k += kDepth) {
    load_tile<kRows>(left, k, left_tile);
    load_tile<kColumns>(right, k, right_tile);
    __syncthreads();
    for (int d = 0; d < kDepth; ++d) {
      for (int j = 0; j < kColumns / kThreadsPerRow; ++j) {
        sum[j] += left_tile[row][d] * right_tile[column + j * kThreadsPerRow][d];
      }
    }
    __syncthreads();
  }
}

/// Calls use(row, column, sum) for this thread's elements inside rows x columns.
template <int kColumns, typename Use>
__device__ void for_each_element(const float (&sum)[kColumns / kThreadsPerRow], std::int64_t rows, std::int64_t columns,
                                 const Use& use) {
  const std::int64_t row = threadIdx.x / kThreadsPerRow;
  for (int j = 0; j < kColumns / kThreadsPerRow; ++j) {
    const std::int64_t column = threadIdx.x % kThreadsPerRow + j * kThreadsPerRow;
    if (row < rows && column < columns) use(row, column, sum[j]);
  }
}

}  // namespace finetune::kernels::cuda
