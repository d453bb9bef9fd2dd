// Log-likelihoods of continuations of prompts: what choices and labels are told apart by. A prompt is computed once for
// all its continuations.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "models/adapter_bank.h"
#include "models/generate/cached_pack.h"
#include "models/weights.h"

namespace finetune {

/// A prompt and what may come after it; neither the prompt nor a continuation is empty.
struct Question {
  std::size_t trial = 0;  ///< index of its adapter
  std::vector<std::int32_t> prompt;
  std::vector<std::vector<std::int32_t>> continuations;
};

struct ScoreOptions {
  std::int64_t tokens_per_pass = 4096;
  std::int64_t cache_bytes = 1LL << 30;  ///< of keys and values; more where a single question needs it
  std::function<void()> check = {};      ///< called before each pass; what it throws ends the scoring
};

/// Of each question and continuation the sum of its tokens' log-probabilities, in nats.
std::vector<std::vector<double>> score(const DecoderBase& base, const AdapterBank* bank,
                                       std::span<const AdapterChoice> adapters, std::span<const Question> questions,
                                       const ScoreOptions& options);

}  // namespace finetune
