#include "engine/planner.h"

namespace finetune {

std::vector<Chunk> cut_batch(std::size_t trial, std::span<const std::int64_t> lengths, std::int64_t tokens_per_pass) {
  std::vector<Chunk> chunks;
  std::int64_t token_base = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (chunks.empty() || chunks.back().tokens + lengths[i] > tokens_per_pass) {
      chunks.push_back({.trial = trial, .first = i, .token_base = token_base});
    }
    ++chunks.back().count;
    chunks.back().tokens += lengths[i];
    token_base += lengths[i];
  }
  return chunks;
}

std::vector<Pass> plan_passes(std::span<const std::vector<std::int64_t>> lengths, std::int64_t tokens_per_pass) {
  std::vector<std::vector<Chunk>> waiting;
  std::size_t left = 0;
  for (std::size_t trial = 0; trial < lengths.size(); ++trial) {
    waiting.push_back(cut_batch(trial, lengths[trial], tokens_per_pass));
    left += waiting.back().size();
  }
  std::vector<std::size_t> next(waiting.size(), 0);
  std::vector<Pass> passes;
  while (left > 0) {
    Pass pass;
    for (std::size_t trial = 0; trial < waiting.size(); ++trial) {
      if (next[trial] == waiting[trial].size()) continue;
      const Chunk& chunk = waiting[trial][next[trial]];
      if (!pass.chunks.empty() && pass.tokens + chunk.tokens > tokens_per_pass) continue;
      pass.chunks.push_back(chunk);
      pass.tokens += chunk.tokens;
      ++next[trial];
      --left;
    }
    passes.push_back(std::move(pass));
  }
  return passes;
}

}  // namespace finetune
