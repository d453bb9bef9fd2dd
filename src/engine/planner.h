// Cuts the batches of many trials into device passes of a bounded number of tokens. Torch-free.
//
// Isolation: where a trial's batch is cut, and in which order its parts are summed, depends on that trial alone. Only
// which trials share a pass depends on the others, and that changes no number.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace finetune {

/// Consecutive segments (one example each) of one trial's batch.
struct Chunk {
  std::size_t trial = 0;             ///< index into the planner's input
  std::size_t first = 0, count = 0;  ///< segments
  std::int64_t token_base = 0;       ///< tokens of the trial's batch before this chunk (keys the dropout mask)
  std::int64_t tokens = 0;
};

/// What one forward and backward works on.
struct Pass {
  std::vector<Chunk> chunks;
  std::int64_t tokens = 0;
};

/// One trial's batch, cut where the next segment would exceed `tokens_per_pass`. A single longer segment is a chunk of
/// its own.
std::vector<Chunk> cut_batch(std::size_t trial, std::span<const std::int64_t> lengths, std::int64_t tokens_per_pass);

/// Passes over the batches of all trials: each pass takes at most one chunk of a trial, in the trial's order.
std::vector<Pass> plan_passes(std::span<const std::vector<std::int64_t>> lengths, std::int64_t tokens_per_pass);

}  // namespace finetune
