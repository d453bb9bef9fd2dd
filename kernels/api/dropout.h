// The dropout mask of an adapter's input: counter-based, keyed on (trial seed, step, projection, token, column), so it
// does not depend on pack, slot, thread or device. kernels/cuda/dropout.cuh makes the same words.
#pragma once

#include "core/random.h"
#include "kernels/api/adapter.h"
#include "kernels/api/dropout_row.h"

namespace finetune::kernels {

/// What b^T of a group is multiplied by.
inline float scale_of(const AdapterGroup& group, const AdapterWeights& weights) {
  return weights.scales != nullptr ? weights.scales[group.slot] : group.scale;
}

inline bool adapts(const AdapterGroup& group, std::int64_t bit) {
  return (group.projections >> bit & 1) != 0;
}

/// `row` counts from the group's begin.
inline DropoutRow dropout_row_of(const AdapterGroup& group, std::int64_t key, std::int64_t row) {
  return {.token = static_cast<std::uint32_t>(group.token_base + row),
          .step = static_cast<std::uint32_t>(group.step),
          .key = static_cast<std::uint32_t>(key) << 3 | static_cast<std::uint32_t>(Purpose::dropout),
          .seed = {static_cast<std::uint32_t>(group.seed), static_cast<std::uint32_t>(group.seed >> 32)},
          .rate = group.dropout};
}

/// Factors of one row: 0 where dropped, 1 / (1 - p) elsewhere. `row` counts from the group's begin.
inline void dropout_row(const AdapterGroup& group, std::int64_t key, std::int64_t row, float* factors,
                        std::int64_t width) {
  const DropoutRow of = dropout_row_of(group, key, row);
  const float kept = 1.0f / (1.0f - group.dropout);
  for (std::int64_t c = 0; c < width; c += 4) {
    const auto words = philox({static_cast<std::uint32_t>(c / 4), of.token, of.step, of.key}, {of.seed[0], of.seed[1]});
    for (std::int64_t k = 0; k < 4 && c + k < width; ++k) {
      factors[c + k] =
          static_cast<float>(words[static_cast<std::size_t>(k)] >> 8) * 0x1p-24f < group.dropout ? 0.0f : kept;
    }
  }
}

}  // namespace finetune::kernels
