// What the adapter products share: the groups of a projection, and their rows as work items.
#pragma once

#include <algorithm>
#include <cstdint>
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

using Groups = std::vector<const AdapterGroup*>;

/// The groups that adapt a projection, in the order of the pack.
inline Groups adapting(const AdapterGroup* groups, std::int64_t count, std::int64_t bit) {
  Groups list;
  for (std::int64_t i = 0; i < count; ++i) {
    if (adapts(groups[i], bit)) list.push_back(&groups[i]);
  }
  return list;
}

/// Rows of a group: the work items of products whose rows are tokens.
struct Block {
  std::size_t group;
  std::int64_t begin, end;  ///< rows of the pack
};
inline std::vector<Block> row_blocks(const Groups& groups) {
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    for (std::int64_t row = groups[i]->begin; row < groups[i]->end; row += kRowBlock)
      blocks.push_back({i, row, std::min(groups[i]->end, row + kRowBlock)});
  }
  return blocks;
}

/// dropout(x) of a group's rows [begin, end) of the pack, to contiguous rows.
inline void write_dropped(Rows x, std::int64_t width, const AdapterGroup& g, std::int64_t key, std::int64_t begin,
                          std::int64_t end, float* to) {
  for (std::int64_t r = begin; r < end; ++r, to += width) {
    dropout_row(g, key, r - g.begin, to, width);
    for (std::int64_t c = 0; c < width; ++c) to[c] *= x.data[r * x.row + c];
  }
}

}  // namespace finetune::kernels::cpu
