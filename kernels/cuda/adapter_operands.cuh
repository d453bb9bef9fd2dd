// The factors of adapter products in bf16, as tiles of them are loaded, and what becomes of the sums.
#pragma once

#include "kernels/cuda/adapter_groups.cuh"
#include "kernels/cuda/dropout.cuh"
#include "kernels/cuda/tensor_tile.cuh"

namespace finetune::kernels::cuda {

/// Tokens of a group from `begin`, with what dropout leaves of them: the factor of what is kept is the caller's.
struct Input {
  Matrix16 x;
  const AdapterGroup* group;
  std::int64_t key, begin;
};
template <typename Args>
__device__ Input input_of(const Args& args, const StackPart& part, const AdapterGroup& group, std::int64_t begin,
                          std::int64_t rows) {
  const Bf16* x = static_cast<const Bf16*>(args.x) + begin * args.x_row;
  return {{x, args.x_row, rows, args.inputs}, &group, args.projection[part.stack.projection(0)].key, begin};
}
__device__ inline void load_input(const Input& input, std::int64_t row, std::int64_t column, Bf16Tile& to) {
  if (input.group->dropout <= 0) return load_tile(input.x, row, column, to);
  for (int e = static_cast<int>(threadIdx.x); e < kSide * kSide / 8; e += kTensorThreads) {
    const int i = e / 8, j = e % 8 * 8;
    Packet<Bf16, 8> packet = load_many(input.x.from(row + i, column + j), input.x.left(row + i, column + j));
    const unsigned dropped =
        dropped_of_eight(*input.group, input.key, input.begin - input.group->begin + row + i, column + j);
    for (int k = 0; k < 8; ++k) {
      if ((dropped >> k & 1) != 0) store(&packet.at[k], 0.0f);
    }
    store_packet(&to.at[i][j], packet);
  }
}
__device__ inline float kept(const AdapterGroup& group) {
  return group.dropout > 0 ? kept_factor(group) : 1.0f;
}

/// Rows of A, stacked from column `first` on.
template <typename Args>
struct StackedA {
  const Args* args;
  const Stack* stack;
  std::int64_t slot, input;
  int first;
  __device__ Quad operator()(int i, int j) const {
    const int column = first + i;
    if (column >= stack->columns()) return {nullptr, 0};
    const auto [projection, row] = stack->place(column);
    const AdapterWeights& w = args->projection[projection].weights;
    return {w.a + slot * w.a_slot + row * w.a_row + input + j, row < stack->rank ? args->inputs - input - j : 0};
  }
};

/// Rows of a matrix in fp32 from (row, column) on; zero outside of rows x columns.
struct Rows32 {
  const float* data;
  std::int64_t stride, rows, columns;
  __device__ Quad operator()(int i, int j) const { return {data + i * stride + j, i < rows ? columns - j : 0}; }
};
template <typename Projection>
__device__ Rows32 rows_of_b(const Projection& p, const AdapterGroup& group, std::int64_t output, std::int64_t column) {
  const AdapterWeights& w = p.weights;
  return {w.b + group.slot * w.b_slot + output * w.b_row + column, w.b_row, p.outputs - output, group.rank - column};
}

/// ds of tokens from `token`, `rows` of them, columns of a stack from `first`.
struct StackedDs {
  const AdapterBackward* args;
  const Stack* stack;
  std::int64_t token, rows;
  int first;
  __device__ Quad operator()(int i, int j) const {
    const int column = first + j;
    if (i >= rows || column >= stack->columns()) return {nullptr, 0};
    const auto [projection, row] = stack->place(column);
    const AdapterBackwardProjection& p = args->projection[projection];
    return {p.ds + (token + i) * p.ds_row + row, stack->rank - row};
  }
};

/// Calls use(i, j, sum) for the sums of rows x columns, neighbours in a row for neighbouring threads.
template <typename Use>
__device__ void for_each_sum(const TileMemory& memory, std::int64_t rows, std::int64_t columns, const Use& use) {
  for (int e = static_cast<int>(threadIdx.x); e < kSide * kSide; e += kTensorThreads) {
    const int i = e / kSide, j = e % kSide;
    if (i < rows && j < columns) use(i, j, memory.sums[i][j]);
  }
}

/// *to += the values, each rounded as a tensor in bf16 would be; those from `count` on are none.
__device__ inline void add_eight(Bf16* to, const float (&values)[8], std::int64_t count) {
  Packet<Bf16, 8> sums = load_many(to, count);
  for (int k = 0; k < 8; ++k) store(&sums.at[k], to_float(sums.at[k]) + rounded<Bf16>(values[k]));
  store_many(to, sums, count);
}

/// Tiles of 64 columns that a block of a wide product has, so that its left factor is read once for all of them.
constexpr int kWideTiles = 4, kKept = 2 * kSide;  // the steps that TileMemory has
struct WideTile {
  std::int64_t first, columns;  ///< columns there are from `first` on
  int rounded;                  ///< of this tile, up to a multiple of 16
  bool again;                   ///< the left factor is in its place, where its depth is kKept at most
};
template <typename Use>
__device__ void for_each_wide_tile(std::int64_t width, const Use& use) {
  for (int i = 0; i < kWideTiles; ++i) {
    const std::int64_t first = (static_cast<std::int64_t>(blockIdx.y) * kWideTiles + i) * kSide,
                       columns = width - first;
    if (columns <= 0) return;
    if (i > 0) __syncthreads();  // the sums of the one before have been read
    use(WideTile{first, columns, columns < kSide ? up_to_16(static_cast<int>(columns)) : kSide, i > 0});
  }
}
inline unsigned wide_blocks(std::int64_t width) {
  return blocks(width, kWideTiles * kSide);
}

}  // namespace finetune::kernels::cuda
