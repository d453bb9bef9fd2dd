// One token drawn from logits. Torch-free; a pure function, so a text depends on its seed and on nothing beside it.
#pragma once

#include <cstdint>
#include <span>

namespace finetune {

struct Sampling {
  double temperature = 0;  ///< what logits are divided by; 0: the most likely token, of several the first
  std::int64_t top_k = 0;  ///< of the most likely tokens only so many; 0 = all
  double top_p = 1;        ///< of those, the fewest most likely ones that have this share of the probability together
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;  ///< of the seed: sequences of one request have one each
};

/// `token`: which of its sequence's new ones it is, from 0; each has a random number of its own. Of equally likely
/// tokens those of lower ids come first. Logits that hold a NaN give token 0.
std::int32_t sample_token(std::span<const float> logits, const Sampling& sampling, std::uint64_t token);

}  // namespace finetune
