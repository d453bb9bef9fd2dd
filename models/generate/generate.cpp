#include "models/generate/generate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "models/generate/choose.h"

namespace finetune {
namespace {

// The longest that a sequence may become; the last token needs no key.
std::int64_t most_tokens(std::int64_t prompt, std::int64_t positions, const GenerateOptions& options) {
  return std::min(positions, prompt + options.max_new_tokens - 1);
}

std::int64_t pool_size(const DecoderOptions& model, at::ScalarType dtype, std::span<const std::int64_t> lengths,
                       const GenerateOptions& options) {
  std::int64_t all = 0, largest = 0;
  for (const std::int64_t length : lengths) {
    const std::int64_t blocks = blocks_of(most_tokens(length, model.max_positions, options));
    all += blocks;
    largest = std::max(largest, blocks);
  }
  return std::max(largest, std::min(all, options.cache_bytes / KvCache::bytes_per_block(model, dtype)));
}

std::vector<std::int64_t> lengths_of(std::span<const Prompt> prompts) {
  std::vector<std::int64_t> lengths;
  for (const Prompt& prompt : prompts) lengths.push_back(static_cast<std::int64_t>(prompt.ids.size()));
  return lengths;
}

struct Sequence {
  std::size_t prompt = 0;
  std::int64_t tokens = 0;    // in the cache
  std::int64_t reserved = 0;  // blocks it may yet take
  std::vector<std::int32_t> blocks;
  std::vector<std::int32_t> again;  // all tokens so far of one that begins again
};

class Decoding {
 public:
  Decoding(const DecoderBase& base, const AdapterBank* bank, std::span<const AdapterChoice> adapters,
           std::span<const Prompt> prompts, const GenerateOptions& options, const SequenceWatch& watch)
      : base_(base),
        bank_(bank),
        adapters_(adapters),
        prompts_(prompts),
        options_(options),
        watch_(watch),
        pool_(pool_size(base.options, base.activations(), lengths_of(prompts), options)),
        cache_(base.options, pool_.free(), base.activations(), base.embed_VD.device()),
        generated_(prompts.size()) {}

  std::vector<std::vector<std::int32_t>> run() {
    if (options_.max_new_tokens <= 0) return std::move(generated_);
    for (;;) {
      std::vector<Sequence> admitted = admit();
      if (admitted.empty()) admitted = become_long();
      if (!admitted.empty()) {
        step(admitted);
        join(std::move(admitted));
      } else if (!active_.empty()) {
        step(active_);
      } else {
        break;
      }
    }
    return std::move(generated_);
  }

 private:
  auto by_trial() const {
    return [this](const Sequence& a, const Sequence& b) { return prompts_[a.prompt].trial < prompts_[b.prompt].trial; };
  }

  std::int64_t need(std::size_t prompt) const {
    return blocks_of(
        most_tokens(static_cast<std::int64_t>(prompts_[prompt].ids.size()), base_.options.max_positions, options_));
  }

  // The next prompts, in their order, for which there is room to the end.
  std::vector<Sequence> admit() {
    std::vector<Sequence> admitted;
    std::int64_t tokens = 0;
    while (next_ < prompts_.size()) {
      const std::int64_t blocks = need(next_);
      tokens += static_cast<std::int64_t>(prompts_[next_].ids.size());
      const bool fits = admitted.empty() || tokens <= options_.tokens_per_pass;
      const auto beside = static_cast<std::int64_t>(active_.size() + admitted.size());
      if (!fits || beside >= options_.sequences || reserved_ + blocks > pool_.free()) break;
      reserved_ += blocks;
      admitted.push_back({.prompt = next_++, .tokens = 0, .reserved = blocks, .blocks = {}, .again = {}});
    }
    std::stable_sort(admitted.begin(), admitted.end(), by_trial());
    return admitted;
  }

  // Whose next token makes it a long one: its keys were turned by other angles.
  std::vector<Sequence> become_long() {
    const auto stays = [&](const Sequence& s) { return angles_.first(s.tokens) == angles_.first(s.tokens + 1); };
    const auto first = std::stable_partition(active_.begin(), active_.end(), stays);
    std::vector<Sequence> again(std::make_move_iterator(first), std::make_move_iterator(active_.end()));
    active_.erase(first, active_.end());
    for (Sequence& sequence : again) {
      sequence.tokens = 0;
      sequence.again = prompts_[sequence.prompt].ids;
      const auto& made = generated_[sequence.prompt];
      sequence.again.insert(sequence.again.end(), made.begin(), made.end());
    }
    return again;
  }

  void join(std::vector<Sequence> admitted) {
    const auto middle = active_.insert(active_.end(), std::make_move_iterator(admitted.begin()),
                                       std::make_move_iterator(admitted.end()));
    std::inplace_merge(active_.begin(), middle, active_.end(), by_trial());
  }

  // A token more for each; who has come to an end leaves.
  void step(std::vector<Sequence>& sequences) {
    std::vector<NewTokens> tokens;
    for (Sequence& sequence : sequences) tokens.push_back(new_tokens(sequence));
    CachedPack built;
    build_cached_pack(tokens, adapters_, cache_, base_.embed_VD.device(), built);
    std::vector<RowChoice> rows;
    for (const Sequence& sequence : sequences)
      rows.push_back({prompts_[sequence.prompt].sampling, generated_[sequence.prompt].size()});
    const bool listens = static_cast<bool>(watch_.on_logprob);
    const ChosenTokens chosen = choose_tokens(base_, built.pack, bank_, workspace_, rows, listens);
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      sequences[i].tokens += static_cast<std::int64_t>(tokens[i].ids.size());
      if (listens) watch_.on_logprob(sequences[i].prompt, chosen.logprobs[i]);
      if (!take(sequences[i], chosen.ids[i])) leave(sequences[i]);
    }
    std::erase_if(sequences, [](const Sequence& sequence) { return sequence.blocks.empty(); });
  }

  NewTokens new_tokens(Sequence& sequence) {
    const Prompt& prompt = prompts_[sequence.prompt];
    const std::vector<std::int32_t>& made = generated_[sequence.prompt];
    NewTokens tokens{.trial = prompt.trial, .ids = {}, .before = sequence.tokens, .first_angle = 0, .blocks = {}};
    tokens.ids = made.empty() ? std::span<const std::int32_t>(prompt.ids) : std::span(made).last(1);
    if (sequence.tokens == 0 && !sequence.again.empty()) tokens.ids = sequence.again;
    const std::int64_t all = sequence.tokens + static_cast<std::int64_t>(tokens.ids.size());
    tokens.first_angle = angles_.first(all);
    const std::int64_t blocks = blocks_of(all);
    while (static_cast<std::int64_t>(sequence.blocks.size()) < blocks) {
      sequence.blocks.push_back(pool_.take());
      --sequence.reserved;
      --reserved_;
    }
    tokens.blocks = sequence.blocks;
    return tokens;
  }

  // Whether the sequence goes on.
  bool take(const Sequence& sequence, std::int32_t id) {
    std::vector<std::int32_t>& made = generated_[sequence.prompt];
    made.push_back(id);
    const bool asked_to_end = watch_.on_token && watch_.on_token(sequence.prompt, made);
    return !asked_to_end && std::ranges::find(options_.end_ids, id) == options_.end_ids.end() &&
           static_cast<std::int64_t>(made.size()) < options_.max_new_tokens &&
           sequence.tokens < base_.options.max_positions;
  }

  void leave(Sequence& sequence) {
    if (watch_.on_end) watch_.on_end(sequence.prompt, generated_[sequence.prompt]);
    pool_.give(sequence.blocks);
    reserved_ -= sequence.reserved;
    sequence.blocks.clear();
  }

  const DecoderBase& base_;
  const AngleRows angles_ = angle_rows(base_.options);
  const AdapterBank* bank_;
  std::span<const AdapterChoice> adapters_;
  std::span<const Prompt> prompts_;
  const GenerateOptions& options_;
  const SequenceWatch& watch_;
  BlockPool pool_;
  KvCache cache_;
  DecoderWorkspace workspace_;
  std::vector<std::vector<std::int32_t>> generated_;
  std::vector<Sequence> active_;  // in the order of their trials
  std::size_t next_ = 0;          // prompt that waits
  std::int64_t reserved_ = 0;     // blocks that active sequences may yet take
};

}  // namespace

std::vector<std::vector<std::int32_t>> generate(const DecoderBase& base, const AdapterBank* bank,
                                                std::span<const AdapterChoice> adapters,
                                                std::span<const Prompt> prompts, const GenerateOptions& options,
                                                const SequenceWatch& watch) {
  return Decoding(base, bank, adapters, prompts, options, watch).run();
}

}  // namespace finetune
