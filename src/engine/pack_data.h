// The arrays of one device pass, on the host: what planned chunks of examples become before they are copied to a
// device. Torch-free, so that another thread can make them while a device works.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "data/example.h"
#include "engine/planner.h"
#include "kernels/api/adapter.h"
#include "models/decoder_options.h"

namespace finetune {

/// A trial's part in a pass.
struct PackTrial {
  std::int64_t slot = 0;
  std::int64_t rank = 16;  ///< computed rank
  float scale = 1;         ///< alpha / r or alpha / sqrt(r)
  double dropout = 0;      ///< 0 in evaluation
  std::uint64_t seed = 0;
  std::int64_t step = 0;                ///< 1-based; keys the dropout mask
  double loss_scale = 0;                ///< 1 / loss tokens of the whole batch
  ProjectionSet targets;                ///< all false: the bare base (full fine-tuning)
  std::span<const Example> examples;    ///< the data set
  std::span<const std::int64_t> batch;  ///< indices into it, in order
};

/// Sizes of a pass. Passes of one shape can be computed by one captured graph.
struct PackShape {
  std::int64_t tokens = 0, loss_rows = 0, segments = 0, longest = 0;
  auto operator<=>(const PackShape&) const = default;
};

/// The pass, and which of its loss rows belong to which chunk.
struct PackData {
  std::vector<std::int64_t> ids, loss_rows, targets;
  std::vector<std::int32_t> positions, bounds{0};
  std::vector<float> scales;
  std::vector<kernels::AdapterGroup> groups;
  std::int64_t longest = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> rows;          ///< per chunk: [begin, end) in loss_rows
  std::vector<std::pair<std::int64_t, std::int64_t>> example_rows;  ///< the same per example
  PackShape shape() const;
};

/// Segments of all chunks, one after the other. A pass of fewer tokens or loss rows than `fewest_rows` is padded with a
/// segment that carries no loss and with rows of scale zero.
PackData build_pack_data(const Pass& pass, std::span<const PackTrial> trials, std::int64_t fewest_rows);

/// The shape that a pass is padded to so that few shapes occur: tokens up to the next eighth of the power of two above
/// them (of a full pass at most), loss rows up to the next quarter of the tokens, segments and the longest one up to a
/// power of two.
PackShape bucket_of(const PackShape& shape, std::int64_t tokens_per_pass);

/// Pads to a shape that bucket_of gave and to `groups` groups; trials' numbers stay what they are. The padding is
/// segments without loss, empty segments, rows of scale zero and idle groups.
void pad_pack(PackData& pack, const PackShape& shape, std::size_t groups);

}  // namespace finetune
