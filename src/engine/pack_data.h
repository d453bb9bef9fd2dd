// The arrays of one device pass, on the host: what planned chunks of examples become before they are copied to a
// device. Torch-free, so that another thread can make them while a device works.
#pragma once

#include <array>
#include <compare>
#include <concepts>
#include <cstdint>
#include <optional>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

#include "data/example.h"
#include "engine/planner.h"
#include "kernels/api/adapter.h"
#include "kernels/api/cross_entropy.h"
#include "models/decoder_options.h"
#include "models/own_rows.h"
#include "models/saved_modules.h"
#include "models/sequence_rows.h"
#include "models/token_terms.h"

namespace finetune {

/// A trial as a lane computes it. Trials that are equal have the same batch and the same numbers in a step.
struct PackTrial {
  std::int64_t slot = 0;
  std::int64_t rank = 16;  ///< computed rank
  float scale = 1;         ///< alpha / r or alpha / sqrt(r)
  double dropout = 0;      ///< 0 in evaluation
  double neftune = 0;      ///< the same
  bool dora = false;       ///< its outputs have magnitudes
  SavedModules saved;      ///< of which it has copies of its own
  std::uint64_t seed = 0;
  ProjectionSet targets;            ///< all false: the bare base (full fine-tuning)
  std::int64_t step = 1;            ///< the one to be done, 1-based; keys the batch and the dropout mask
  std::int64_t batch_size = 1;      ///< of the data's order: what it was when the trial began,
  std::uint64_t order_seed = 0;     ///< and so is this,
  std::vector<double> shares = {};  ///< and these, of the parts of the data; empty: no mixture
  double beta = 0.1, gamma = 0.5;   ///< train.beta, train.gamma
  bool operator==(const PackTrial&) const = default;
};

/// A trial's examples of one step or of an evaluation, in order. They stay where they are.
struct Batch {
  std::vector<ExampleView> examples;
  std::int64_t tokens = 0, loss_tokens = 0;
  std::int64_t first_rows = 0;  ///< loss tokens of each example's first sequence
  std::int64_t desirable = 0;   ///< examples whose label is true
  /// Of each example one for each loss token, or none; empty: no example has any.
  std::vector<std::span<const TokenTerm>> terms;
  std::optional<double> divisor;  ///< of the losses; none: the loss tokens
  std::int64_t token_base = 0;    ///< tokens of the same step before these (keys the dropout mask)

  Batch() = default;
  /// Of any list of examples.
  template <std::ranges::input_range Range>
  requires std::convertible_to<std::ranges::range_reference_t<Range>, ExampleView> Batch(const Range& all) {
    for (const ExampleView example : all) add(example);
  }
  void add(const ExampleView& example);
  std::vector<std::int64_t> lengths() const;
};

/// Sizes of a pass. Passes of one shape can be computed by one captured graph.
struct PackShape {
  std::int64_t tokens = 0, loss_rows = 0, segments = 0, longest = 0;
  std::int64_t noise = 0;  ///< elements per token
  auto operator<=>(const PackShape&) const = default;
};

/// The pass, and which of its loss rows belong to which chunk.
struct PackData {
  std::vector<std::int64_t> ids, loss_rows, targets;
  std::vector<std::int32_t> positions;  ///< rows of the rotary tables
  std::vector<std::int32_t> bounds{0};
  std::vector<float> scales;
  std::vector<float> noise;  ///< [T, D]; empty: none
  std::vector<kernels::AdapterGroup> groups;
  std::int64_t longest = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> rows;  ///< per chunk: [begin, end) in loss_rows
  std::vector<SequenceRows> sequences;
  std::vector<WeighedTrial> trials;  ///< per chunk
  std::vector<TokenTerm> terms;      ///< of the first loss rows; those behind have none
  std::vector<OwnRows> own_embeddings, own_heads;
  PackShape shape() const;
};

/// What a pass depends on of the model.
struct PackModel {
  AngleRows angles;
  std::int64_t width = 0;  ///< D
};
inline PackModel pack_model(const DecoderOptions& options) {
  return {angle_rows(options), options.width};
}

/// Segments of all chunks, one after the other; `batches` are those of the trials, whole. A pass of fewer tokens or
/// loss rows than `fewest_rows` is padded with a segment that carries no loss and with rows of scale zero.
PackData build_pack_data(const Pass& pass, std::span<const PackTrial> trials, std::span<const Batch> batches,
                         std::int64_t fewest_rows, const PackModel& model);

/// The loss rows of each chunk, by the trial that they are summed for, counted from `first_trial`.
std::vector<kernels::RowRange> row_ranges(const Pass& pass, const PackData& data, std::size_t first_trial);

/// Sets the trials' divergences, given by the pass's trial.
void set_divergences(const Pass& pass, std::span<const double> values, PackData& data);

/// The shape that a pass is padded to so that few shapes occur: tokens up to the next eighth of the power of two above
/// them or the next 512 (of a full pass at most), loss rows up to the next sixteenth of the tokens. Segments and the
/// longest one cost next to nothing where they are empty: they are those of `run`, the largest so far, or powers of two
/// above.
PackShape bucket_of(const PackShape& shape, std::int64_t tokens_per_pass, const PackShape& run);

/// Pads to a shape that bucket_of gave and to `groups` groups; trials' numbers stay what they are. The padding is
/// segments without loss, empty segments, rows of scale zero and idle groups.
void pad_pack(PackData& pack, const PackShape& shape, std::size_t groups);

}  // namespace finetune
