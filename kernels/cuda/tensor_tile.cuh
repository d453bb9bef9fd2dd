// A block's part of a matrix product on tensor cores: 64 x up to 64, through shared memory, factors rounded to bf16 as
// they are loaded, sums in fp32. Four warps have 16 rows of the result each. While a step of 64 of the depth is
// multiplied the next one is copied. An element is one sum over the depth in steps of 16 in their order, so its bits do
// not depend on the tile it lies in, nor on what stands beside it.
#pragma once

#include "kernels/cuda/common.cuh"

namespace finetune::kernels::cuda {

constexpr int kSide = 64;            // of a tile
constexpr int kTensorThreads = 128;  // a warp for each 16 rows
constexpr int kPitch = kSide + 8;    // of bf16 in shared memory: eight rows of 16 bytes lie in different banks
constexpr int kSumPitch = kSide + 4;

struct alignas(32) Bf16Tile {
  Bf16 at[kSide][kPitch];
};
/// Two steps of the factors; the sums lie where the right ones were (`keep_sums`).
struct TileMemory {
  Bf16Tile left[2];
  union {
    Bf16Tile right[2];
    float sums[kSide][kSumPitch];
  };
};
using Sums = SumFragment[kSide / 16];  // of a warp: 16 rows, 16 columns each

/// Rows of bf16 in memory, `stride` apart; zero outside of rows x columns.
struct Matrix16 {
  const Bf16* data;
  std::int64_t stride, rows, columns;
  /// How many elements of eight from (i, j) there are, 8 or more if all.
  __device__ std::int64_t left(std::int64_t i, std::int64_t j) const { return i < rows ? columns - j : 0; }
  __device__ const Bf16* from(std::int64_t i, std::int64_t j) const { return data + i * stride + j; }
};

/// 64 x 64 elements from (row, column). Not to be read before wait_for_copies and a barrier.
__device__ inline void load_tile(const Matrix16& matrix, std::int64_t row, std::int64_t column, Bf16Tile& to) {
  for (int e = static_cast<int>(threadIdx.x); e < kSide * kSide / 8; e += kTensorThreads) {
    const int i = e / 8, j = e % 8 * 8;
    const Bf16* from = matrix.from(row + i, column + j);
    const std::int64_t left = matrix.left(row + i, column + j);
    if (left >= 8 && is_aligned(from, 16))
      copy_later(&to.at[i][j], from);
    else
      store_packet(&to.at[i][j], load_many(from, left));
  }
}

/// Four fp32 neighbours in memory; those from `count` on are zero.
struct Quad {
  const float* from;
  std::int64_t count;
};

/// rows x columns (a multiple of 4) elements: quad(i, j) are those from (i, j) on.
template <typename Quads>
__device__ void load_rounded(const Quads& quads, int rows, int columns, Bf16Tile& to) {
  const int in_row = columns / 4;
  for (int e = static_cast<int>(threadIdx.x); e < rows * in_row; e += kTensorThreads) {
    const int i = e / in_row, j = e % in_row * 4;
    const Quad quad = quads(i, j);
    const Packet<float, 4> read = load_many(quad.from, quad.count);
    Packet<Bf16, 4> rounded;
    for (int k = 0; k < 4; ++k) store(&rounded.at[k], read.at[k]);
    store_packet(&to.at[i][j], rounded);
  }
}

__device__ constexpr int up_to_16(int count) {
  return (count + 15) / 16 * 16;
}

/// sums += left x right over `depth` <= 64. A factor in Order::columns has its depth along the rows of the left tile,
/// along the columns of the right one.
template <Order kLeft, Order kRight>
__device__ void multiply(const Bf16Tile& left, const Bf16Tile& right, int depth, int columns, Sums& sums) {
  const int strip = static_cast<int>(threadIdx.x) / 32 * 16;
  for (int k = 0; k < depth; k += 16) {
    LeftFragment<kLeft> a;
    a.load(kLeft == Order::rows ? &left.at[strip][k] : &left.at[k][strip], kPitch);
    for (int j = 0; j < kSide / 16; ++j) {
      if (16 * j >= columns) continue;
      RightFragment<kRight> b;
      b.load(kRight == Order::rows ? &right.at[k][16 * j] : &right.at[16 * j][k], kPitch);
      sums[j].add_product(a, b);
    }
  }
}

/// sums = left x right over the whole depth. load_left(k, deep, tile) and load_right fill tiles from depth k on, of
/// which `deep` are read: what is there, up to a multiple of 16 with zeros.
template <Order kLeft, Order kRight, typename LoadLeft, typename LoadRight>
__device__ void product(TileMemory& memory, std::int64_t depth, int columns, const LoadLeft& load_left,
                        const LoadRight& load_right, Sums& sums) {
  const auto deep_at = [&](std::int64_t k) {
    return depth - k < kSide ? up_to_16(static_cast<int>(depth - k)) : kSide;
  };
  const auto load = [&](std::int64_t k, int stage) {
    load_left(k, deep_at(k), memory.left[stage]);
    load_right(k, deep_at(k), memory.right[stage]);
  };
  for (SumFragment& sum : sums) sum.clear();
  load(0, 0);
  int stage = 0;
  for (std::int64_t k = 0; k < depth; k += kSide, stage = 1 - stage) {
    wait_for_copies();
    __syncthreads();  // this step's factors are there, and those before them have been read
    if (k + kSide < depth) load(k + kSide, 1 - stage);
    multiply<kLeft, kRight>(memory.left[stage], memory.right[stage], deep_at(k), columns, sums);
  }
  __syncthreads();
}

/// Puts the sums into memory.sums, for all threads: [row][column], or with Order::columns [column][row].
__device__ inline void keep_sums(const Sums& sums, int columns, Order order, TileMemory& memory) {
  const int strip = static_cast<int>(threadIdx.x) / 32 * 16;
  for (int j = 0; j < kSide / 16; ++j) {
    if (16 * j >= columns) continue;
    sums[j].store(order == Order::rows ? &memory.sums[strip][16 * j] : &memory.sums[16 * j][strip], kSumPitch, order);
  }
  __syncthreads();
}

}  // namespace finetune::kernels::cuda
