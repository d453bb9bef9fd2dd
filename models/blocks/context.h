// What the parts of a block share: where the weights, the adapters and the buffers are. Internal to the decoder.
//
// Shapes: T tokens, D width, E = (H + 2G) K stacked q|k|v, O = H K, F mlp width, H heads, G key/value heads, K
// head_dim, R stored adapter rank.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "models/blocks/linear.h"
#include "models/decoder.h"

namespace finetune {

/// Names of workspace buffers: first those that a block keeps from forward to backward, then those that all blocks use
/// in turn. Norms' outputs and the activation's are not kept: computing them again costs a pass over memory, keeping
/// them would add half of the activations.
enum BlockBuffer : int {
  kMiddle = kFirstBlockBuffer,
  kRstdAttention,
  kRstdMlp,
  kQkv,
  kQ,
  kK,
  kRstdQ,
  kRstdK,
  kO,
  kLse,
  kGateUp,
  kAttentionOut,  // these four only with post-norms
  kMlpOut,
  kRstdAttentionOut,
  kRstdMlpOut,
  kS,                           // takes a name for each projection
  kNormed = kS + kProjections,  // from here on used in turn
  kBranch,
  kDBranch,
  kDBranchOut,
  kHidden,
  kDHidden,
  kDGateUp,
  kDNormed,
  kDO,
  kDQkv,
  kDQ,
  kDK,
  kZ,  // these only with magnitudes: a name for each stack
  kDZ = kZ + static_cast<int>(kStacks.size()),
  kDense = kDZ + static_cast<int>(kStacks.size()),  // numbers of quantised weights, a name for each stack
  kBlockBuffers = kDense + static_cast<int>(kStacks.size())
};
static_assert(kBlockBuffers <= kFirstHeadBuffer);

struct BlockContext {
  const DecoderBase& base;
  const Pack& pack;
  Trainables trainables;
  DecoderWorkspace& workspace;
  std::int64_t layer = 0;
  bool keep = true;  ///< false in evaluation: what a block keeps is shared by all layers too

  const DecoderOptions& options() const { return base.options; }
  const BlockTensors<at::Tensor>& weights() const { return base.blocks[static_cast<std::size_t>(layer)]; }
  /// Undefined tensors where the weights are frozen.
  BlockTensors<at::Tensor> gradients() const {
    return trainables.full ? trainables.full->blocks[static_cast<std::size_t>(layer)] : BlockTensors<at::Tensor>{};
  }
  at::ScalarType dtype() const { return base.activations(); }
  /// cos and sin of the layer; undefined where nothing is turned.
  std::pair<at::Tensor, at::Tensor> rotary_tables() const {
    const std::vector<Rope>& rope = options().rope;
    const Rope which = rope.empty() ? Rope::global : rope[static_cast<std::size_t>(layer)];
    if (which == Rope::none) return {};
    if (which == Rope::local) return {base.local_cos_PK, base.local_sin_PK};
    return {base.cos_PK, base.sin_PK};
  }

  /// [rows, columns], the same in the forward and the backward pass.
  at::Tensor kept(int name, std::int64_t rows, std::int64_t columns, at::ScalarType type) const {
    return workspace.get(name, keep ? layer : 0, rows, columns, type, base.embed_VD.device());
  }
  at::Tensor kept(int name, std::int64_t columns) const { return kept(name, pack.tokens, columns, dtype()); }
  /// Statistics of that many rows, in fp32.
  at::Tensor kept_statistics(int name, std::int64_t rows) const {
    return kept(name, rows, 1, wide_dtype(dtype())).flatten();
  }
  /// [T, columns], until the next use of the name.
  at::Tensor scratch(int name, std::int64_t columns) const {
    return workspace.get(name, 0, pack.tokens, columns, dtype(), base.embed_VD.device());
  }
};

/// Whether a pass computes with the numbers in the workspace's ring.
bool uses_ring(const DecoderBase& base, const Pack& pack);
/// In such a pass, before a layer's blocks are built: its numbers are there, and those of `next` begun.
void take_weights(const BlockContext& context, std::optional<std::int64_t> next);

/// Projections that share an input: weights, gradients and the adapters of the pack's trials.
Linear projections(const BlockContext& context, Stack stack);

}  // namespace finetune
