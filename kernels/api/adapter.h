// Grouped adapter products (LoRA, Hu et al., 2021) of all trials of a pack, for all projections that share an input:
// one launch per stage, whatever the number of trials. A group is one trial's rows; a tile of rows never spans two
// groups, so a trial's numbers do not depend on its neighbours. Adapters, s and their gradients are fp32, and so is the
// arithmetic; x, y and their gradients have the storage type. With Type::bf16 `cuda` multiplies on tensor cores: each
// factor (A, B, s, ds) is rounded to bf16 as it is read, sums are fp32.
#pragma once

#include "kernels/api/kernel.h"

namespace finetune::kernels {

inline constexpr std::int64_t kMaxProjections = 4;  // that share an input: q, k, v; gate, up; o; down

/// A trial's rows [begin, end) of the pack. No slot may stand in two groups of a call; groups may not overlap. A group
/// without rows and projections is idle: a list may be longer than the trials of a pack.
struct AdapterGroup {
  std::int64_t begin = 0, end = 0;
  std::int64_t first_tile = 0;  ///< filled in by number_tiles
  std::int64_t slot = 0;
  std::int32_t rank = 16;         ///< computed rank, a multiple of 8; may be below the stored one
  std::uint32_t projections = 0;  ///< bit b: the trial adapts the projection of that bit
  float scale = 1;
  float dropout = 0;       ///< on the adapter's input; 0 = none
  std::uint64_t seed = 0;  ///< the mask is keyed on (seed, step, key of the projection, token_base + row, column)
  std::int64_t step = 0;
  std::int64_t token_base = 0;  ///< tokens of the trial's batch before `begin`
  bool magnitudes = false;      ///< its outputs have magnitudes of their own (kernels/api/magnitude.h)
};

/// Adapter matrices of one projection, of all slots: A is [rank, inputs], B is [outputs, rank].
struct AdapterWeights {
  const float *a, *b;
  std::int64_t a_slot, a_row, b_slot, b_row;  ///< strides between slots and between rows
  const float* scales = nullptr;              ///< of each slot, for this projection; null: AdapterGroup::scale
};

struct AdapterForwardProjection {
  AdapterWeights weights;
  float* s;  ///< saved for the backward
  std::int64_t s_row;
  void* y;
  std::int64_t y_row, outputs;
  std::int64_t key;  ///< tells projections apart in the dropout mask
  std::int64_t bit;  ///< its bit of AdapterGroup::projections
};

/// For each group and each of its projections: s = dropout(x) A^T, y += scale s B^T.
struct AdapterForward {
  Type type;
  const void* x;
  std::int64_t x_row, inputs;
  const AdapterGroup* groups;
  std::int64_t group_count, tiles;  ///< tiles: what number_tiles returned, or more
  std::int64_t largest_rank;        ///< of the groups, or more
  AdapterForwardProjection projection[kMaxProjections];
  std::int64_t projections;
};

struct AdapterBackwardProjection {
  AdapterWeights weights;
  const float* s;
  std::int64_t s_row;
  float* ds;  ///< scratch of the shape of s; cpu takes none
  std::int64_t ds_row;
  const void* dy;
  std::int64_t dy_row, outputs;
  float *da, *db;  ///< += ; strides as the weights'
  std::int64_t da_slot, da_row, db_slot, db_row;
  std::int64_t key, bit;
  float *da_parts, *db_parts;  ///< cuda in bf16: scratch of gradient_part_rows(tiles) x inputs, x outputs; else unused
};

/// ds = scale dy B; dB += scale dy^T s; dA += ds^T dropout(x); dx += dropout(ds A), summed over projections in their
/// order.
struct AdapterBackward {
  Type type;
  const void* x;
  std::int64_t x_row, inputs;
  void* dx;  ///< null = not wanted
  std::int64_t dx_row;
  const AdapterGroup* groups;
  std::int64_t group_count, tiles;
  std::int64_t largest_rank;
  AdapterBackwardProjection projection[kMaxProjections];
  std::int64_t projections;
};

inline constexpr std::int64_t kTileRows = 64;

/// Numbers the tiles of `groups` (on the host, before they are copied to the device); returns how many there are.
inline std::int64_t number_tiles(AdapterGroup* groups, std::int64_t count) {
  std::int64_t tiles = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    groups[i].first_tile = tiles;
    tiles += (groups[i].end - groups[i].begin + kTileRows - 1) / kTileRows;
  }
  return tiles;
}

/// cuda in bf16 sums gradients of A and B over chunks of a group, counted from its begin, and adds those in their
/// order: sums depend on the trial alone. A chunk has this many tiles (1,024 tokens) for each 16 of the rank, so that
/// the scratch does not grow with the rank.
inline constexpr std::int64_t kChunkTiles = 16;

/// Rows of scratch for the chunks of groups that have several: a chunk of r tiles has r rows. Those of a group begin at
/// row first_tile / 8 * 16; they end before the next group's, since two chunks or more are of more than r tiles.
inline constexpr std::int64_t gradient_part_rows(std::int64_t tiles) {
  return tiles > kChunkTiles ? tiles / 8 * 16 : 0;
}

namespace ref {
Status adapter_forward(const AdapterForward& args, Stream stream);
Status adapter_backward(const AdapterBackward& args, Stream stream);
}  // namespace ref

namespace cpu {
Status adapter_forward(const AdapterForward& args, Stream stream);
Status adapter_backward(const AdapterBackward& args, Stream stream);
}  // namespace cpu

namespace cuda {
Status adapter_forward(const AdapterForward& args, Stream stream);
Status adapter_backward(const AdapterBackward& args, Stream stream);
}  // namespace cuda

}  // namespace finetune::kernels
