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

/// 0 where dropped, else 1 / (1 - p). `row` counts from the group's begin.
__device__ inline float dropout_factor(const AdapterGroup& group, std::int64_t key, std::int64_t row,
                                       std::int64_t column) {
  if (group.dropout <= 0) return 1.0f;
  const PhiloxBlock words =
      philox_block({{static_cast<std::uint32_t>(column / 4), static_cast<std::uint32_t>(group.token_base + row),
                     static_cast<std::uint32_t>(group.step),
                     static_cast<std::uint32_t>(key) << 3 | static_cast<std::uint32_t>(Purpose::dropout)}},
                   static_cast<std::uint32_t>(group.seed), static_cast<std::uint32_t>(group.seed >> 32));
  const float uniform = static_cast<float>(words.word[column % 4] >> 8) * 0x1p-24f;
  return uniform < group.dropout ? 0.0f : 1.0f / (1.0f - group.dropout);
}

}  // namespace finetune::kernels::cuda
