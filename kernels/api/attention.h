// Causal softmax attention within each segment of a pack (Vaswani et al., 2017, eq. 1, under a mask); query head h uses
// key/value head h / (heads / kv_heads). On a GPU attention is ATen's flash attention or the composition.
#pragma once

#include "kernels/api/kernel.h"

namespace finetune::kernels {

/// What forward and backward share. Rows are tokens: `heads` or `kv_heads` heads of `dim` elements, one after the
/// other.
struct Attention {
  Type type;
  const void *q, *k, *v;
  std::int64_t q_row, k_row, v_row;
  const std::int32_t* bounds;  ///< segments + 1 cumulative lengths
  std::int64_t segments, longest;
  std::int64_t heads, kv_heads, dim;
  std::int64_t window;  ///< a token sees itself and window - 1 before it; 0 = all before it
  float scale;          ///< of q . k
  float softcap;        ///< scaled scores become softcap * tanh(score / softcap); 0: they stay
};

struct AttentionForward {
  Attention of;
  void* o;
  std::int64_t o_row;
  float* lse;  ///< log-sum-exp of the scores, [heads, tokens]
  std::int64_t lse_row;
};

/// Overwrites dq, dk, dv.
struct AttentionBackward {
  Attention of;
  const void *d_o, *o;
  std::int64_t d_o_row, o_row;
  const float* lse;
  std::int64_t lse_row;
  void *dq, *dk, *dv;
  std::int64_t dq_row, dk_row, dv_row;
};

namespace ref {
Status attention_forward(const AttentionForward& args, Stream stream);
Status attention_backward(const AttentionBackward& args, Stream stream);
}  // namespace ref

namespace cpu {
Status attention_forward(const AttentionForward& args, Stream stream);
Status attention_backward(const AttentionBackward& args, Stream stream);
}  // namespace cpu

}  // namespace finetune::kernels
