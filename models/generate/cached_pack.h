// A pass over sequences of which some tokens are in a cache: what is new of each, one behind the other.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/decoder.h"
#include "models/generate/kv_cache.h"

namespace finetune {

/// The adapter that a sequence is computed with: an entry of its bank; no projections = the bare base.
struct AdapterChoice {
  std::int64_t slot = 0;
  std::int64_t rank = 16;  ///< computed rank
  float scale = 1;         ///< alpha / r or alpha / sqrt(r)
  ProjectionSet targets;
  bool dora = false;   ///< its outputs have magnitudes
  SavedModules saved;  ///< of which it has copies of its own
};

/// What is new of one sequence.
struct NewTokens {
  std::size_t trial = 0;  ///< index of its adapter
  std::span<const std::int32_t> ids;
  std::int64_t before = 0;               ///< its tokens that are in the cache already
  std::int64_t first_angle = 0;          ///< row of the rotary tables of its first token: AngleRows
  std::span<const std::int32_t> blocks;  ///< of the sequence, room for the new tokens among them
  std::int64_t targets = 0;  ///< the last so many tokens have their next token in `next`; 0: its last token is asked
  std::span<const std::int32_t> next = {};
};

/// `pack.cached` points into it, so it stays where it is.
struct CachedPack {
  Pack pack;
  CachedTokens cached;
  CachedPack() = default;
  CachedPack(const CachedPack&) = delete;
  CachedPack& operator=(const CachedPack&) = delete;
};

/// `sequences` in the order of their trials. Fewer tokens or loss rows than ops::fewest_product_rows are padded, unless
/// each is a token more of a sequence, which row products compute.
void build_cached_pack(std::span<const NewTokens> sequences, std::span<const AdapterChoice> adapters,
                       const KvCache& cache, at::Device device, CachedPack& built);

}  // namespace finetune
