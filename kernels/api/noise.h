// Noise on embeddings (Jain et al., "NEFTune", 2023, algorithm 1), counter-based like kernels/api/dropout.h: keyed on
// (trial seed, step, token, column), so it does not depend on pack, slot, thread or device.
#pragma once

#include "core/random.h"
#include "kernels/api/adapter.h"

namespace finetune::kernels {

/// Uniform in [-size, size) for `width` columns of one row, which counts from the group's begin.
inline void noise_row(const AdapterGroup& group, std::int64_t row, float size, float* noise, std::int64_t width) {
  // No key of a dropout mask reaches so high.
  constexpr std::uint32_t kKey = static_cast<std::uint32_t>(Purpose::noise) << 28;
  for (std::int64_t c = 0; c < width; c += 4) {
    const auto words = philox({static_cast<std::uint32_t>(c / 4), static_cast<std::uint32_t>(group.token_base + row),
                               static_cast<std::uint32_t>(group.step), kKey},
                              {static_cast<std::uint32_t>(group.seed), static_cast<std::uint32_t>(group.seed >> 32)});
    for (std::int64_t k = 0; k < 4 && c + k < width; ++k)
      noise[c + k] = size * (static_cast<float>(words[static_cast<std::size_t>(k)] >> 8) * 0x1p-23f - 1);
  }
}

}  // namespace finetune::kernels
