// The decoder as a textbook would write it, one example and one trial at a time, differentiable by LibTorch's autograd:
// the oracle of the packed one. Slow on purpose.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "models/adapter_bank.h"
#include "models/weights.h"

namespace finetune::testing {

/// A trial's adapter as autograd leaves, indexed [layer * kProjections + projection]; undefined where not adapted.
struct ReferenceAdapter {
  std::vector<at::Tensor> a, b;
  double scale = 1;
};

/// Without a weight there is no norm.
inline at::Tensor reference_norm(const at::Tensor& x, const at::Tensor& w, const DecoderOptions& o) {
  if (!w.defined()) return x;
  return x * (x.square().mean(-1, true) + o.norm_epsilon).rsqrt() * (o.unit_offset_norm ? 1 + w : w);
}

inline at::Tensor reference_cap(const at::Tensor& x, double cap) {
  return cap > 0 ? at::tanh(x / cap) * cap : x;
}

inline at::Tensor reference_activation(const at::Tensor& x, kernels::Activation activation) {
  if (activation == kernels::Activation::silu) return x * at::sigmoid(x);
  return x * (1 + at::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x.pow(3)))) / 2;
}

inline at::Tensor reference_rotate(const at::Tensor& x_THK, const DecoderBase& base, std::int64_t layer) {
  const Rope rope = base.options.rope.empty() ? Rope::global : base.options.rope[static_cast<std::size_t>(layer)];
  if (rope == Rope::none) return x_THK;
  const bool local = rope == Rope::local;
  const std::int64_t tokens = x_THK.size(0), half = (local ? base.local_cos_PK : base.cos_PK).size(1),
                     rest = x_THK.size(2) - 2 * half;
  const at::Tensor cos =
      (local ? base.local_cos_PK : base.cos_PK).narrow(0, 0, tokens).unsqueeze(1).to(x_THK.scalar_type());
  const at::Tensor sin =
      (local ? base.local_sin_PK : base.sin_PK).narrow(0, 0, tokens).unsqueeze(1).to(x_THK.scalar_type());
  const at::Tensor first = x_THK.narrow(2, 0, half), second = x_THK.narrow(2, half, half);
  return at::cat({first * cos - second * sin, second * cos + first * sin, x_THK.narrow(2, 2 * half, rest)}, 2);
}

/// Sum over the example's loss tokens of the NLL. `adapter` may be null.
inline at::Tensor reference_nll(const DecoderBase& base, const std::vector<std::int64_t>& ids,
                                const std::vector<std::uint8_t>& loss, const ReferenceAdapter* adapter) {
  const DecoderOptions& o = base.options;
  const auto tokens = static_cast<std::int64_t>(ids.size());
  const at::Tensor ids_T = at::tensor(at::ArrayRef<std::int64_t>(ids), at::kLong);
  at::Tensor x = base.embed_VD.index_select(0, ids_T) * o.embedding_scale;
  const at::Tensor i = at::arange(tokens).unsqueeze(1), j = at::arange(tokens).unsqueeze(0);
  for (std::int64_t layer = 0; layer < o.layers; ++layer) {
    const BlockTensors<at::Tensor>& w = base.blocks[static_cast<std::size_t>(layer)];
    const auto project = [&](Projection p, const at::Tensor& in, const at::Tensor& stacked, const at::Tensor& bias) {
      const auto [first, count] = stacked_rows(o, p);
      at::Tensor y = at::matmul(in, stacked.narrow(0, first, count).t());
      if (bias.defined()) y = y + bias.narrow(0, first, count);
      const auto modules = modules_of(o, stack_of(p));  // one, which has all rows of the stack, or each its own
      const Projection module = modules.size() == 1 ? modules.front() : p;
      const auto index = static_cast<std::size_t>(layer) * kProjections + index_of(module);
      if (adapter && adapter->a[index].defined()) {
        const at::Tensor b = module == p ? adapter->b[index] : adapter->b[index].narrow(0, first, count);
        y = y + at::matmul(at::matmul(in, adapter->a[index].t()), b.t()) * adapter->scale;
      }
      return y;
    };
    const at::Tensor n = reference_norm(x, w.attention_norm_D, o);
    at::Tensor q = project(Projection::q, n, w.qkv_ED, w.qkv_bias_E).view({tokens, o.heads, o.head_dim});
    at::Tensor k = project(Projection::k, n, w.qkv_ED, w.qkv_bias_E).view({tokens, o.kv_heads, o.head_dim});
    at::Tensor v = project(Projection::v, n, w.qkv_ED, w.qkv_bias_E).view({tokens, o.kv_heads, o.head_dim});
    if (o.qk_norm != QkNorm::none) {
      const bool whole = o.qk_norm == QkNorm::whole;
      q = reference_norm(whole ? q.flatten(1) : q, w.q_norm, o).view({tokens, o.heads, o.head_dim});
      k = reference_norm(whole ? k.flatten(1) : k, w.k_norm, o).view({tokens, o.kv_heads, o.head_dim});
    }
    q = reference_rotate(q, base, layer).transpose(0, 1);
    k = reference_rotate(k, base, layer).transpose(0, 1).repeat_interleave(o.heads / o.kv_heads, 0);
    v = v.transpose(0, 1).repeat_interleave(o.heads / o.kv_heads, 0);
    at::Tensor visible = j.le(i);
    const std::int64_t window = o.window[static_cast<std::size_t>(layer)];
    if (window > 0) visible = visible.logical_and((i - j).lt(window));
    const double by_size = 1 / std::sqrt(static_cast<double>(o.head_dim));
    const at::Tensor scores = at::matmul(q, k.transpose(1, 2)) * (o.attention_scale > 0 ? o.attention_scale : by_size);
    const at::Tensor p =
        at::softmax(reference_cap(scores, o.attention_softcap).masked_fill(visible.logical_not(), -INFINITY), -1);
    const at::Tensor attended = at::matmul(p, v).transpose(0, 1).reshape({tokens, o.heads * o.head_dim});
    const auto add = [&](const at::Tensor& output, const at::Tensor& post_norm_D) {
      x = x + reference_norm(output, post_norm_D, o) * o.residual_scale;
    };
    add(project(Projection::o, attended, w.o_DO, w.o_bias_D), w.attention_post_norm_D);
    const at::Tensor m = reference_norm(x, w.mlp_norm_D, o);
    const at::Tensor gate = project(Projection::gate, m, w.gate_up_2FD, w.gate_up_bias_2F);
    const at::Tensor up = project(Projection::up, m, w.gate_up_2FD, w.gate_up_bias_2F);
    add(project(Projection::down, reference_activation(gate, o.activation) * up, w.down_DF, w.down_bias_D),
        w.mlp_post_norm_D);
  }
  const at::Tensor logits = at::matmul(reference_norm(x, base.final_norm_D, o), base.head_VD.t()) * o.logit_scale;
  const at::Tensor log_probabilities = at::log_softmax(reference_cap(logits, o.logit_softcap), -1);
  at::Tensor nll = at::zeros({}, logits.options());
  for (std::int64_t t = 1; t < tokens; ++t) {
    if (loss[static_cast<std::size_t>(t)]) nll = nll - log_probabilities[t - 1][ids[static_cast<std::size_t>(t)]];
  }
  return nll;
}

}  // namespace finetune::testing
