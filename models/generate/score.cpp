#include "models/generate/score.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace finetune {
namespace {

std::int64_t length(std::span<const std::int32_t> ids) {
  return static_cast<std::int64_t>(ids.size());
}

// Continuations append to blocks of their own, so only whole blocks of a prompt are shared; its last token is computed
// with each continuation, whose first token it predicts.
std::int64_t shared_tokens(const Question& question) {
  return (length(question.prompt) - 1) / ops::kCacheBlock * ops::kCacheBlock;
}

// What a continuation is computed from: the rest of the prompt, and itself but for its last token.
std::vector<std::int32_t> tail_of(const Question& question, std::size_t continuation) {
  std::vector<std::int32_t> ids(question.prompt.begin() + shared_tokens(question), question.prompt.end());
  const auto& next = question.continuations[continuation];
  ids.insert(ids.end(), next.begin(), next.end() - 1);
  return ids;
}

std::int64_t tail_blocks(const Question& question, std::size_t continuation) {
  const std::int64_t rest = length(question.prompt) - shared_tokens(question);
  return blocks_of(rest + length(question.continuations[continuation]) - 1);
}

std::int64_t blocks_needed(const Question& question) {
  std::int64_t blocks = shared_tokens(question) / ops::kCacheBlock;
  for (std::size_t c = 0; c < question.continuations.size(); ++c) blocks += tail_blocks(question, c);
  return blocks;
}

std::int64_t tail_tokens(const Question& question) {
  std::int64_t tokens = 0;
  for (const auto& next : question.continuations)
    tokens += length(question.prompt) - shared_tokens(question) + length(next) - 1;
  return tokens;
}

// Of the question with its longest continuation: they share the prompt's keys.
std::int64_t first_angle(const DecoderOptions& model, const Question& question) {
  std::int64_t longest = 0;
  for (const auto& next : question.continuations) longest = std::max(longest, length(next));
  return angle_rows(model).first(length(question.prompt) + longest);
}

// Sequences of a pass, with what they view.
struct Pass {
  std::vector<NewTokens> sequences;
  std::vector<std::vector<std::int32_t>> blocks;
  std::vector<std::vector<std::int32_t>> tails;
};

class Scoring {
 public:
  Scoring(const DecoderBase& base, const AdapterBank* bank, std::span<const AdapterChoice> adapters,
          std::span<const Question> questions, const ScoreOptions& options)
      : base_(base),
        bank_(bank),
        adapters_(adapters),
        questions_(questions),
        options_(options),
        order_(questions.size()),
        pool_(pool_size()),
        cache_(base.options, pool_.free(), base.activations(), base.embed_VD.device()) {
    for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = i;
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return questions_[a].trial < questions_[b].trial; });
  }

  std::vector<std::vector<double>> run() {
    std::vector<std::vector<double>> scores(questions_.size());
    for (std::size_t first = 0; first < order_.size();) {
      const std::size_t last = end_of_part(first);
      const std::span<const std::size_t> part(order_.data() + first, last - first);
      score_part(part, scores);
      first = last;
    }
    return scores;
  }

 private:
  std::int64_t pool_size() const {
    std::int64_t all = 0, largest = 0;
    for (const Question& question : questions_) {
      const std::int64_t blocks = blocks_needed(question);
      all += blocks;
      largest = std::max(largest, blocks);
    }
    const std::int64_t fit = options_.cache_bytes / KvCache::bytes_per_block(base_.options, base_.activations());
    return std::max(largest, std::min(all, fit));
  }

  // The most questions from here on for which there are blocks, and whose tails and prompts are passes of the size.
  std::size_t end_of_part(std::size_t first) const {
    std::int64_t blocks = 0, tails = 0, prompts = 0;
    std::size_t last = first;
    for (; last < order_.size(); ++last) {
      const Question& question = questions_[order_[last]];
      blocks += blocks_needed(question);
      tails += tail_tokens(question);
      prompts += shared_tokens(question);
      if (last > first && (blocks > pool_.free() || std::max(tails, prompts) > options_.tokens_per_pass)) break;
    }
    return last;
  }

  void score_part(std::span<const std::size_t> part, std::vector<std::vector<double>>& scores) {
    Pass prompts, tails;
    for (const std::size_t index : part) add_prompt(questions_[index], prompts);
    if (!prompts.sequences.empty()) compute(prompts);
    std::size_t prompt = 0;
    for (const std::size_t index : part) {
      const bool shares = shared_tokens(questions_[index]) > 0;
      const std::span<const std::int32_t> blocks =
          shares ? std::span<const std::int32_t>(prompts.blocks[prompt++]) : std::span<const std::int32_t>();
      add_tails(questions_[index], blocks, tails);
    }
    read_scores(part, compute(tails), scores);
    for (const Pass* pass : {&prompts, &tails}) {
      for (const auto& blocks : pass->blocks) pool_.give(blocks);
    }
  }

  void take_blocks(std::int64_t count, std::vector<std::int32_t>& blocks) {
    for (std::int64_t i = 0; i < count; ++i) blocks.push_back(pool_.take());
  }

  void add_prompt(const Question& question, Pass& pass) {
    const std::int64_t shared = shared_tokens(question);
    if (shared == 0) return;
    take_blocks(shared / ops::kCacheBlock, pass.blocks.emplace_back());
    pass.sequences.push_back({.trial = question.trial,
                              .ids = std::span(question.prompt).first(static_cast<std::size_t>(shared)),
                              .before = 0,
                              .first_angle = first_angle(base_.options, question),
                              .blocks = pass.blocks.back()});
  }

  void add_tails(const Question& question, std::span<const std::int32_t> prompt_blocks, Pass& pass) {
    for (std::size_t c = 0; c < question.continuations.size(); ++c) {
      std::vector<std::int32_t>& blocks = pass.blocks.emplace_back(prompt_blocks.begin(), prompt_blocks.end());
      for (const std::int32_t block : prompt_blocks) pool_.share(block);
      take_blocks(tail_blocks(question, c), blocks);
      pass.tails.push_back(tail_of(question, c));
      pass.sequences.push_back({.trial = question.trial,
                                .ids = pass.tails.back(),
                                .before = shared_tokens(question),
                                .first_angle = first_angle(base_.options, question),
                                .blocks = pass.blocks.back(),
                                .targets = length(question.continuations[c]),
                                .next = question.continuations[c]});
    }
  }

  at::Tensor compute(const Pass& pass) {
    if (options_.check) options_.check();
    CachedPack built;
    build_cached_pack(pass.sequences, adapters_, cache_, base_.embed_VD.device(), built);
    return evaluate_pack(base_, built.pack, bank_, workspace_).nll_N.cpu();
  }

  // Rows are in the order of the sequences.
  void read_scores(std::span<const std::size_t> part, const at::Tensor& nll_N,
                   std::vector<std::vector<double>>& scores) const {
    const auto* nll = nll_N.const_data_ptr<float>();
    for (const std::size_t index : part) {
      for (const auto& next : questions_[index].continuations) {
        double sum = 0;
        for (std::size_t i = 0; i < next.size(); ++i) sum -= static_cast<double>(*nll++);
        scores[index].push_back(sum);
      }
    }
  }

  const DecoderBase& base_;
  const AdapterBank* bank_;
  std::span<const AdapterChoice> adapters_;
  std::span<const Question> questions_;
  const ScoreOptions& options_;
  std::vector<std::size_t> order_;  // questions, by trial
  BlockPool pool_;
  KvCache cache_;
  DecoderWorkspace workspace_;
};

}  // namespace

std::vector<std::vector<double>> score(const DecoderBase& base, const AdapterBank* bank,
                                       std::span<const AdapterChoice> adapters, std::span<const Question> questions,
                                       const ScoreOptions& options) {
  return Scoring(base, bank, adapters, questions, options).run();
}

}  // namespace finetune
