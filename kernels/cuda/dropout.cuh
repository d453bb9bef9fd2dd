// The dropout mask, the same words as kernels/api/dropout.h: Philox4x32-10 (Salmon et al., SC 2011, section 3).
#pragma once

#include "core/random.h"
#include "kernels/api/adapter.h"
#include "kernels/cuda/device.cuh"

namespace finetune::kernels::cuda {

struct PhiloxBlock {
  std::uint32_t word[4];
};

__device__ inline PhiloxBlock philox_block(PhiloxBlock c, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t even = std::uint64_t{0xD2511F53} * c.word[0], odd = std::uint64_t{0xCD9E8D57} * c.word[2];
    c = {{static_cast<std::uint32_t>(odd >> 32) ^ c.word[1] ^ key0, static_cast<std::uint32_t>(odd),
          static_cast<std::uint32_t>(even >> 32) ^ c.word[3] ^ key1, static_cast<std::uint32_t>(even)}};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return c;
}

__device__ inline float kept_factor(const AdapterGroup& group) {
  return 1.0f / (1.0f - group.dropout);
}

/// Bit i: column 4 quad + i is dropped. `row` counts from the group's begin.
__device__ inline unsigned dropped_of_four(const AdapterGroup& group, std::int64_t key, std::int64_t row,
                                           std::int64_t quad) {
  const PhiloxBlock words =
      philox_block({{static_cast<std::uint32_t>(quad), static_cast<std::uint32_t>(group.token_base + row),
                     static_cast<std::uint32_t>(group.step),
                     static_cast<std::uint32_t>(key) << 3 | static_cast<std::uint32_t>(Purpose::dropout)}},
                   static_cast<std::uint32_t>(group.seed), static_cast<std::uint32_t>(group.seed >> 32));
  unsigned dropped = 0;
  for (int i = 0; i < 4; ++i) {
    const float uniform = static_cast<float>(words.word[i] >> 8) * 0x1p-24f;
    if (uniform < group.dropout) dropped |= 1u << i;
  }
  return dropped;
}

/// The same of eight columns.
__device__ inline unsigned dropped_of_eight(const AdapterGroup& group, std::int64_t key, std::int64_t row,
                                            std::int64_t column) {
  return dropped_of_four(group, key, row, column / 4) | dropped_of_four(group, key, row, column / 4 + 1) << 4;
}

/// 0 where dropped, else 1 / (1 - p).
__device__ inline float dropout_factor(const AdapterGroup& group, std::int64_t key, std::int64_t row,
                                       std::int64_t column) {
  if (group.dropout <= 0) return 1.0f;
  const bool dropped = (dropped_of_four(group, key, row, column / 4) >> column % 4 & 1) != 0;
  return dropped ? 0.0f : kept_factor(group);
}

}  // namespace finetune::kernels::cuda
