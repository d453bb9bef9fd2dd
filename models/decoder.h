// The decoder: forward and explicit backward over a pack of segments, for adapters (many trials over one frozen base)
// or for all weights (full fine-tuning). No autograd graph; only what training needs is computed and kept: no gradients
// of frozen weights, none below the lowest adapter, logits only where a token carries loss.
//
// Shapes: T packed tokens, D width, E stacked q|k|v features, O = H K, F mlp width, N loss rows, V vocabulary.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/torch/ops.h"
#include "models/adapter_bank.h"
#include "models/objective.h"
#include "models/own_rows.h"
#include "models/sequence_rows.h"
#include "models/token_terms.h"
#include "models/weight_ring.h"
#include "models/weights.h"

namespace finetune {

struct CachedTokens;

/// One device pass: segments of one or more trials in one flat token buffer, no padding.
struct Pack {
  at::Tensor ids_T;        ///< int64
  at::Tensor positions_T;  ///< int32: rows of the rotary tables
  at::Tensor noise_TD;     ///< fp32, added to the embeddings; undefined: none
  ops::Segments segments;
  at::Tensor loss_rows_N;  ///< int64: rows whose next token is a target
  at::Tensor targets_N;    ///< int64
  at::Tensor scale_N;      ///< fp32: 1 / loss tokens of the row's trial at this step; 0 of a row that only pads
  std::vector<SequenceRows> sequences;  ///< host: those of all examples, one behind the other
  std::vector<WeighedTrial> trials;     ///< host: whose the sequences are
  std::vector<TokenTerm> terms;         ///< host: of the first loss rows; those behind have none
  ops::AdapterGroups groups;  ///< trials: token ranges, slots, projections (a bit each), ranks, scales, dropout keys
  std::vector<OwnRows> own_embeddings, own_heads;  ///< host, ascending: tokens; loss rows
  std::int64_t tokens = 0;
  const CachedTokens* cached = nullptr;  ///< forward only: segments go on from a cache (models/generate/kv_cache.h)
};

/// Per loss row, in the order of Pack::loss_rows_N.
struct PackLosses {
  at::Tensor nll_N;      ///< fp32
  at::Tensor correct_N;  ///< uint8: argmax is the target
};

/// Gradients of all weights in fp32, for full fine-tuning; when tied both gradients of the shared matrix add up in one.
using FullGradients = DecoderTensors<at::Tensor>;

/// What is trained in a pass. At most one is set; neither for the bare base. In evaluation the bank is read only; in
/// training the gradients of its adapters are added to.
struct Trainables {
  const AdapterBank* bank = nullptr;
  FullGradients* full = nullptr;
};

/// The dtype of reductions, adapters and saved statistics: fp32, and fp64 for the tests' fp64 models.
inline at::ScalarType wide_dtype(at::ScalarType activations) {
  return activations == at::kDouble ? at::kDouble : at::kFloat;
}

/// Workspace names are small integers, a range for each file.
inline constexpr int kFirstBlockBuffer = 0, kFirstHeadBuffer = 48, kFirstDecoderBuffer = 56;

/// Buffers of one lane, grown to the largest pass and reused: no allocation in the steady state.
class DecoderWorkspace {
 public:
  /// A tensor [rows, columns] of at least this capacity, contents undefined. `name` identifies it.
  at::Tensor get(int name, std::int64_t layer, std::int64_t rows, std::int64_t columns, at::ScalarType dtype,
                 at::Device device);
  std::int64_t bytes() const;
  /// Grows with every allocation: while it stays, tensors that get() gave stay where they are.
  std::int64_t generation() const { return generation_; }
  /// Of a quantised base on a device with streams.
  WeightRing& ring() { return ring_; }

 private:
  std::int64_t generation_ = 0;
  std::vector<std::vector<at::Tensor>> buffers_;  // [name][layer]
  WeightRing ring_;
};

/// Forward only, nothing kept: losses of every loss row.
PackLosses evaluate_pack(const DecoderBase& base, const Pack& pack, const AdapterBank* bank,
                         DecoderWorkspace& workspace);

/// Told of consecutive loss rows from `first` on: logits_NV are theirs, as the model gives them, until it returns.
using TakeLogits = std::function<void(std::int64_t first, const at::Tensor& logits_NV)>;

/// Forward only: what the next token of each loss row is chosen from, some rows at a time.
void next_logits(const DecoderBase& base, const Pack& pack, const AdapterBank* bank, DecoderWorkspace& workspace,
                 const TakeLogits& take);

/// Forward and backward. Adds to the gradients in `trainables`; returns the losses before any update.
PackLosses train_pack(const DecoderBase& base, const Pack& pack, const Trainables& trainables,
                      DecoderWorkspace& workspace, const Objective& objective = sft());

}  // namespace finetune
