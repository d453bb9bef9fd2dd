// What the adapter products share: who adapts what, rows as work items, and dropped inputs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "kernels/api/adapter.h"
#include "kernels/api/dropout.h"
#include "kernels/cpu/parallel.h"

namespace finetune::kernels::cpu {

/// Rows of floats, `row` elements apart.
struct Rows {
  const float* data;
  std::int64_t row;
};

/// Floats that are written before they are read.
inline std::unique_ptr<float[]> floats(std::int64_t count) {
  return std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(std::max<std::int64_t>(1, count)));
}

/// A projection of a group that adapts it; those of a group stand together, in the order of the pack and of the
/// projections.
template <typename Projection>
struct Adapted {
  const AdapterGroup* group;
  const Projection* projection;
};

template <typename Args>
auto adapted(const Args& args) {
  using Projection = std::remove_cvref_t<decltype(args.projection[0])>;
  std::vector<Adapted<Projection>> all;
  for (std::int64_t g = 0; g < args.group_count; ++g) {
    for (std::int64_t p = 0; p < args.projections; ++p) {
      if (adapts(args.groups[g], args.projection[p].bit)) all.push_back({&args.groups[g], &args.projection[p]});
    }
  }
  return all;
}

/// Rows of a group with all projections that it adapts: x is read once for them.
struct Block {
  std::size_t first, last;  ///< of the list of `adapted`
  std::int64_t begin, end;  ///< rows of the pack
};

/// Of the groups in [first, last) of the list.
template <typename Projection>
std::vector<Block> row_blocks(const std::vector<Adapted<Projection>>& all, std::size_t first, std::size_t last) {
  std::vector<Block> blocks;
  while (first < last) {
    const AdapterGroup* group = all[first].group;
    std::size_t next = first;
    while (next < last && all[next].group == group) ++next;
    for (std::int64_t row = group->begin; row < group->end; row += kRowBlock)
      blocks.push_back({first, next, row, std::min(group->end, row + kRowBlock)});
    first = next;
  }
  return blocks;
}

/// Multiplications and additions of a row of one pass over inputs and outputs, about.
template <typename Args>
std::int64_t operations_per_row(const Args& args) {
  std::int64_t outputs = 0;
  for (std::int64_t p = 0; p < args.projections; ++p) outputs += args.projection[p].outputs;
  return 16 * (args.projections * args.inputs + outputs);
}

}  // namespace finetune::kernels::cpu
