#include "models/blocks/attention.h"

#include <ATen/ATen.h>

#include <cmath>

#include "models/generate/kv_cache.h"

namespace finetune {
namespace {

at::Tensor columns(const BlockContext& c, const at::Tensor& stacked, Projection p) {
  const auto [first, count] = stacked_rows(c.options(), p);
  return stacked.narrow(1, first, count);
}

}  // namespace

Attention::Attention(const BlockContext& c)
    : context_(c),
      qkv_(projections(c, Stack::qkv)),
      o_(projections(c, Stack::o)),
      qkv_TE_(c.kept(kQkv, qkv_.outputs())),
      o_TO_(c.kept(kO, c.options().heads * c.options().head_dim)),
      lse_HT_(c.kept(kLse, 1, c.options().heads * c.pack.tokens, wide_dtype(c.dtype()))
                  .view({c.options().heads, c.pack.tokens})),
      q_(heads_of(Projection::q, kQ, kRstdQ)),
      k_(heads_of(Projection::k, kK, kRstdK)) {}

Attention::Heads Attention::heads_of(Projection p, int copy, int rstd) const {
  const BlockContext& c = context_;
  Heads heads{.projected = columns(c, qkv_TE_, p)};
  if (c.options().qk_norm == QkNorm::none) return heads;
  const bool is_q = p == Projection::q;
  const auto gradients = c.gradients();
  heads.norm = {is_q ? c.weights().q_norm : c.weights().k_norm, is_q ? gradients.q_norm : gradients.k_norm,
                c.options()};
  const std::int64_t width = projection_out(c.options(), p);
  heads.normed = c.kept(copy, width);
  heads.rstd = c.kept_statistics(rstd, c.pack.tokens * width / heads.norm.weight_D.size(0));
  return heads;
}

at::Tensor Attention::by_head(const at::Tensor& x) const {
  const std::int64_t head_dim = context_.options().head_dim;
  return x.unflatten(1, {x.size(1) / head_dim, head_dim});
}

at::Tensor Attention::attended(const Heads& heads) const {
  return by_head(heads.normed.defined() ? heads.normed : heads.projected);
}

ops::AttentionOptions Attention::how() const {
  const DecoderOptions& o = context_.options();
  return {.scale = o.attention_scale > 0 ? o.attention_scale : 1.0 / std::sqrt(static_cast<double>(o.head_dim)),
          .window = o.window[static_cast<std::size_t>(context_.layer)],
          .softcap = o.attention_softcap};
}

void Attention::turn(const at::Tensor& x_THK, bool inverse) const {
  const auto& [cos_PK, sin_PK] = context_.rotary_tables();
  if (!cos_PK.defined()) return;
  at::Tensor turned = x_THK.narrow(2, 0, 2 * cos_PK.size(1));
  ops::rotary(turned, cos_PK, sin_PK, context_.pack.positions_T, inverse);
}

// Without qk-norm q and k are side by side and turned in one go.
at::Tensor Attention::side_by_side(const at::Tensor& qkv_TE) const {
  const auto [first, count] = stacked_rows(context_.options(), Projection::q);
  return by_head(qkv_TE.narrow(1, first, count + projection_out(context_.options(), Projection::k)));
}

void Attention::rotate() const {
  if (!q_.normed.defined()) return turn(side_by_side(qkv_TE_), false);
  for (const Heads* heads : {&q_, &k_}) {
    const std::int64_t width = heads->norm.weight_D.size(0);  // of a head, or of all
    at::Tensor y = heads->normed.view({-1, width});
    heads->norm.forward(heads->projected.reshape({-1, width}), y, heads->rstd);
    turn(attended(*heads), false);
  }
}

// The gradient from after rotation and norm to before them, with qk-norm.
void Attention::rotate_back(const Heads& heads, const at::Tensor& dx, const at::Tensor& dprojected) const {
  turn(by_head(dx), true);
  const at::Tensor x = heads.projected.reshape({-1, heads.norm.weight_D.size(0)});
  at::Tensor dheads = at::empty_like(x);
  heads.norm.backward(dx.view(x.sizes()), x, heads.rstd, dheads, false);
  at::Tensor target = dprojected;
  target.copy_(dheads.view(target.sizes()));
}

void Attention::forward(const at::Tensor& normed_TD, at::Tensor& y_TD, bool accumulate) const {
  at::Tensor qkv_TE = qkv_TE_;
  qkv_.forward(normed_TD, qkv_TE, false);
  rotate();
  attend(by_head(o_TO_));
  o_.forward(o_TO_, y_TD, accumulate);
}

// Over the pack's segments; those that go on from a cache over what is kept there, their new tokens first.
void Attention::attend(at::Tensor o_THK) const {
  const at::Tensor q_THK = attended(q_), k_TGK = attended(k_),
                   v_TGK = by_head(columns(context_, qkv_TE_, Projection::v));
  const CachedTokens* cached = context_.pack.cached;
  if (cached != nullptr) ops::cache_append(k_TGK, v_TGK, cached->rows, cached->cache->layer(context_.layer));
  if (cached != nullptr && !cached->fresh) {
    ops::cached_attention(q_THK, cached->cache->layer(context_.layer), cached->rows, how(), o_THK);
    return;
  }
  at::Tensor lse_HT = lse_HT_;
  ops::attention_forward(q_THK, k_TGK, v_TGK, context_.pack.segments, how(), o_THK, lse_HT);
}

void Attention::backward(const at::Tensor& normed_TD, const at::Tensor& dy_TD, const at::Tensor& dnormed_TD) const {
  const BlockContext& c = context_;
  const bool goes_on = qkv_.trains() || dnormed_TD.defined();
  const at::Tensor do_TO = goes_on ? c.scratch(kDO, o_TO_.size(1)) : at::Tensor();
  o_.backward(o_TO_, dy_TD, do_TO);
  if (!goes_on) return;
  const at::Tensor dqkv_TE = c.scratch(kDQkv, qkv_TE_.size(1));
  const at::Tensor dq_in = columns(c, dqkv_TE, Projection::q), dk_in = columns(c, dqkv_TE, Projection::k);
  const at::Tensor dq = q_.normed.defined() ? c.scratch(kDQ, dq_in.size(1)) : dq_in;
  const at::Tensor dk = k_.normed.defined() ? c.scratch(kDK, dk_in.size(1)) : dk_in;
  at::Tensor dq_THK = by_head(dq), dk_TGK = by_head(dk), dv_TGK = by_head(columns(c, dqkv_TE, Projection::v));
  ops::attention_backward(by_head(do_TO), attended(q_), attended(k_), by_head(columns(c, qkv_TE_, Projection::v)),
                          by_head(o_TO_), lse_HT_, c.pack.segments, how(), dq_THK, dk_TGK, dv_TGK);
  if (q_.normed.defined()) {
    rotate_back(q_, dq, dq_in);
    rotate_back(k_, dk, dk_in);
  } else {
    turn(side_by_side(dqkv_TE), true);
  }
  qkv_.backward(normed_TD, dqkv_TE, dnormed_TD);
}

}  // namespace finetune
