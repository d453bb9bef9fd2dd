// What a block of an adapter product works on: a trial's tile of rows, and columns of the stack of its projections.
#pragma once

#include "kernels/api/adapter.h"
#include "kernels/cuda/common.cuh"

namespace finetune::kernels::cuda {

__device__ inline bool adapts(const AdapterGroup& group, std::int64_t bit) {
  return (group.projections >> bit & 1) != 0;
}

__device__ inline float scale_of(const AdapterGroup& group, const AdapterWeights& weights) {
  return weights.scales != nullptr ? weights.scales[group.slot] : group.scale;
}

/// The last group whose first(group, index) is at most `at`; `first` does not fall from group to group.
template <typename First>
__device__ std::int64_t group_at(const AdapterGroup* groups, std::int64_t count, std::int64_t at, const First& first) {
  std::int64_t low = 0, high = count;
  while (high - low > 1) {
    const std::int64_t middle = (low + high) / 2;
    if (first(groups[middle], middle) <= at)
      low = middle;
    else
      high = middle;
  }
  return low;
}

/// The rows of a tile: part of one group, never of two. None (`rows` below 1) behind the last group's.
struct TokenTile {
  const AdapterGroup* group;
  std::int64_t begin, rows;
};

__device__ inline TokenTile tile_at(const AdapterGroup* groups, std::int64_t count, std::int64_t index) {
  const auto first = [](const AdapterGroup& group, std::int64_t) { return group.first_tile; };
  const AdapterGroup& group = groups[group_at(groups, count, index, first)];
  const std::int64_t begin = group.begin + (index - group.first_tile) * kTileRows;
  return {&group, begin, group.end - begin < kTileRows ? group.end - begin : kTileRows};
}

/// The ranks of the projections that a trial adapts, side by side: a projection has its rank, filled up to 16.
struct Stack {
  std::uint32_t projections;  ///< their indices in the call, a byte each
  int count, rank, padded;
  struct Place {
    int projection, row;  ///< row of its A
  };
  __device__ int columns() const { return count * padded; }
  __device__ int projection(int i) const { return static_cast<int>(projections >> 8 * i & 255); }
  __device__ Place place(int column) const { return {projection(column / padded), column % padded}; }
  __device__ Stack only(int i) const { return {static_cast<std::uint32_t>(projection(i)), 1, rank, padded}; }
};
static_assert(kMaxProjections <= 4);

template <typename Args>
__device__ Stack stack_of(const Args& args, const AdapterGroup& group) {
  Stack stack{0, 0, group.rank, (group.rank + 15) / 16 * 16};
  for (int i = 0; i < args.projections; ++i) {
    if (!adapts(group, args.projection[i].bit)) continue;
    stack.projections |= static_cast<std::uint32_t>(i) << 8 * stack.count;
    ++stack.count;
  }
  return stack;
}

/// Up to 64 columns of a stack. With dropout every projection has an x of its own, so columns of one only.
struct StackPart {
  Stack stack;
  int first, columns;  ///< none (`columns` below 1) behind the last
};

/// Parts of a stack in a launch for any group.
constexpr int kPartColumns = 64;
template <typename Args>
std::int64_t parts(const Args& args) {
  return args.projections * blocks(args.largest_rank, kPartColumns);
}

/// The widest of a call's projections.
template <typename Args>
std::int64_t largest_outputs(const Args& args) {
  std::int64_t largest = 0;
  for (std::int64_t i = 0; i < args.projections; ++i) {
    largest = args.projection[i].outputs > largest ? args.projection[i].outputs : largest;
  }
  return largest;
}

__device__ inline StackPart part_of(const Stack& stack, bool dropout, int index) {
  StackPart part{stack, index * kPartColumns, 0};
  if (dropout) {
    const int each = (stack.padded + kPartColumns - 1) / kPartColumns, i = index / each;
    if (i >= stack.count) return part;
    part.stack = stack.only(i);
    part.first = index % each * kPartColumns;
  }
  const int left = part.stack.columns() - part.first;
  part.columns = left < kPartColumns ? left : kPartColumns;
  return part;
}

}  // namespace finetune::kernels::cuda
