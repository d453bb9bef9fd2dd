// Decoding of many prompts of many trials at once, over the one base with unmerged adapters: the tokens of a
// step are the rows of one product. What a sequence becomes does not depend on who stands beside it.
//
// The limit on a processor is memory: a step reads every weight once, so a single sequence of a model of W bytes cannot
// go faster than copying W bytes (smollm2-135m in float32: 538 MB, 27 ms a token at 20 GB/s), and many sequences share
// the reading until products are bound by arithmetic, at some 16 rows.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "models/adapter_bank.h"
#include "models/generate/cached_pack.h"
#include "models/generate/sampling.h"
#include "models/weights.h"

namespace finetune {

struct Prompt {
  std::size_t trial = 0;  ///< index of its adapter
  std::vector<std::int32_t> ids;
  Sampling sampling = {};  ///< the most likely token each time, unless it says otherwise
};

struct GenerateOptions {
  std::int64_t max_new_tokens = 128;
  std::vector<std::int32_t> end_ids;     ///< a sequence ends with the first of these, which it keeps
  std::int64_t sequences = 1024;         ///< at once, at most
  std::int64_t tokens_per_pass = 4096;   ///< of prompts; a longer one has a pass to itself
  std::int64_t cache_bytes = 1LL << 30;  ///< of keys and values; more where a single sequence needs it
};

/// Told of sequences as they grow, by the index of their prompt and all new tokens so far.
struct SequenceWatch {
  using Ids = std::span<const std::int32_t>;
  std::function<bool(std::size_t prompt, Ids ids)> on_token = {};  ///< after each new token; true: it ends here
  /// Before on_token: the log-probability of the new token, whatever the sampling, over all tokens. Costs nothing where
  /// nobody listens.
  std::function<void(std::size_t prompt, float logprob)> on_logprob = {};
  std::function<void(std::size_t prompt, Ids ids)> on_end = {};  ///< there will be no more
};

/// The new tokens of each prompt, at most options.max_new_tokens and no more than the model has positions for. Prompts
/// must not be empty nor longer than the model's positions. With longrope a sequence that becomes
/// long is computed again, as by transformers. `bank` may be null where no adapter has targets.
std::vector<std::vector<std::int32_t>> generate(const DecoderBase& base, const AdapterBank* bank,
                                                std::span<const AdapterChoice> adapters,
                                                std::span<const Prompt> prompts, const GenerateOptions& options,
                                                const SequenceWatch& watch = {});

}  // namespace finetune
