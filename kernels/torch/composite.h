// What the files of the composition share.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/torch/ops.h"

namespace finetune::ops {

/// Scores that attention holds at once, unless one segment has more: 256 MB in fp32, of which the backward holds four.
constexpr std::int64_t kScoresAtOnce = std::int64_t{1} << 26;
/// Elements of a slot that the optimizer works on at once: its temporaries are a few of these in fp32 and fp64, where a
/// slot of full fine-tuning has billions.
constexpr std::int64_t kOptimizerSlice = std::int64_t{1} << 24;

/// What the composition computes in.
inline at::ScalarType wide(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

/// kernels/torch/composite_attention.cpp: ops.h's attention by scores of whole segments. Segments of one length are one
/// batch of products, up to a bound on the scores.
void composite_attention_forward(const at::Tensor& q_THK, const at::Tensor& k_TGK, const at::Tensor& v_TGK,
                                 const Segments& segments, const AttentionOptions& options, at::Tensor& o_THK,
                                 at::Tensor& lse_HT);
void composite_attention_backward(const at::Tensor& do_THK, const at::Tensor& q_THK, const at::Tensor& k_TGK,
                                  const at::Tensor& v_TGK, const at::Tensor& o_THK, const at::Tensor& lse_HT,
                                  const Segments& segments, const AttentionOptions& options, at::Tensor& dq_THK,
                                  at::Tensor& dk_TGK, at::Tensor& dv_TGK);

}  // namespace finetune::ops
