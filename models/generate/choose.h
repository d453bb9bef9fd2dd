// The next token of each row of a pass: the most likely one, or one that is drawn.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/decoder.h"
#include "models/generate/sampling.h"

namespace finetune {

struct RowChoice {
  Sampling sampling;
  std::uint64_t token = 0;  ///< as sample_token has it
};

struct ChosenTokens {
  std::vector<std::int32_t> ids;
  std::vector<float> logprobs;  ///< as the model gives them: whatever the sampling, over all tokens; empty: not asked
};

/// `rows`: of the pass's loss rows the first; those behind only pad. Waits for the device. Where a row is drawn its
/// logits come to the host.
ChosenTokens choose_tokens(const DecoderBase& base, const Pack& pack, const AdapterBank* bank,
                           DecoderWorkspace& workspace, std::span<const RowChoice> rows, bool logprobs);

}  // namespace finetune
