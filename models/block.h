// One transformer block: attention and MLP, each behind an RMSNorm and added to the residual stream. Internal to the
// decoder.
//
// Shapes: T tokens, D width, E = (H + 2G) K stacked q|k|v, O = H K, F mlp width, H heads, G key/value heads, K
// head_dim, R stored adapter rank.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

#include "models/decoder.h"

namespace finetune {

/// What a block keeps from forward to backward. Norms' outputs and the SwiGLU product are computed again instead: they
/// cost a pass over memory, and keeping them would add half of the activations.
struct BlockActivations {
  at::Tensor x_TD;       ///< block input (residual stream)
  at::Tensor middle_TD;  ///< residual stream after attention
  at::Tensor rstd_attention_T, rstd_mlp_T;
  at::Tensor qkv_TE;      ///< rotated; with qk-norm q and k are before the norm
  at::Tensor q_TO, k_TG;  ///< with qk-norm: normalised and rotated copies; else undefined
  at::Tensor rstd_q, rstd_k;
  at::Tensor o_TO;  ///< attention output
  at::Tensor lse_HT;
  at::Tensor gate_up_T2F;
  std::array<at::Tensor, kProjections> s_TR;  ///< x a^T of the adapters
};

/// Everything a block's functions need besides activations.
struct BlockContext {
  const DecoderBase& base;
  const Pack& pack;
  Trainables trainables;
  DecoderWorkspace& workspace;
  std::int64_t layer = 0;
  bool keep = true;  ///< false in evaluation: buffers are shared by all layers
};

/// Buffers for `layer` of a pass of pack.tokens tokens.
BlockActivations block_buffers(const BlockContext& context, const at::Tensor& x_TD);

/// Reads act.x_TD, writes y_TD (which may not be x_TD).
void block_forward(const BlockContext& context, BlockActivations& act, at::Tensor& y_TD);

/// dx_TD: gradient of the block's output in, of its input out. `needs_input_gradient` false: nothing below this block
/// is trained, so what only serves dx is left out.
void block_backward(const BlockContext& context, const BlockActivations& act, at::Tensor& dx_TD,
                    bool needs_input_gradient);

}  // namespace finetune
