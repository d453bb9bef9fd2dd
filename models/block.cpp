#include "models/block.h"

#include <ATen/ATen.h>

namespace finetune {
namespace {

// Names of workspace buffers; those of the backward pass are shared by all layers.
enum BlockBuffer : int {
  kMiddle,
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
  kS,  // kS takes 7 names
  kNormed = kS + kProjections,
  kHidden,
  kDHidden,
  kDGateUp,
  kDNormed,
  kDO,
  kDQkv,
  kDQ,
  kDK,
  kBlockBuffers
};
static_assert(kBlockBuffers <= kFirstHeadBuffer);

at::Tensor columns(const at::Tensor& stacked, std::pair<std::int64_t, std::int64_t> range) {
  return stacked.narrow(1, range.first, range.second);
}

bool adapted(const BlockContext& c, Projection p) {
  return c.trainables.bank != nullptr && (c.pack.groups.projections >> static_cast<int>(p) & 1) != 0;
}

bool any_adapted(const BlockContext& c, std::initializer_list<Projection> projections) {
  for (const Projection p : projections) {
    if (adapted(c, p)) return true;
  }
  return false;
}

std::int64_t dropout_key(const BlockContext& c, Projection p) {
  return c.layer * kProjections + static_cast<int>(p);
}

// y (+)= x w^T (+ bias), one product for all tokens of the pack.
void linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias, at::Tensor& y) {
  if (bias.defined())
    at::addmm_out(y, bias, x, w.t());
  else
    at::mm_out(y, x, w.t());
}

void linear_add(const at::Tensor& residual, const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias,
                at::Tensor& y) {
  at::addmm_out(y, residual, x, w.t());
  if (bias.defined()) y.add_(bias);
}

// Projections with what belongs to each: its output, or its output's gradient.
using PerProjection = std::initializer_list<std::pair<Projection, at::Tensor>>;

// Adds the adapters of all projections that read x: one grouped call.
void adapters_forward(const BlockContext& c, BlockActivations& act, const at::Tensor& x, PerProjection outputs) {
  std::vector<ops::AdapterOutput> list;
  for (const auto& [p, y] : outputs) {
    if (!adapted(c, p)) continue;
    const auto& bank = *c.trainables.bank;
    list.push_back({.bit = static_cast<int>(p),
                    .key = dropout_key(c, p),
                    .a_SRD = bank.a_SRD(c.layer, p),
                    .b_SOR = bank.b_SOR(c.layer, p),
                    .s_TR = act.s_TR[static_cast<std::size_t>(p)],
                    .y_TO = y});
  }
  if (!list.empty()) ops::adapter_forward(x, c.pack.groups, list);
}

// `dx` undefined: the input's gradient is not needed.
void adapters_backward(const BlockContext& c, const BlockActivations& act, const at::Tensor& x, PerProjection gradients,
                       at::Tensor dx) {
  std::vector<ops::AdapterOutputGradient> list;
  for (const auto& [p, dy] : gradients) {
    if (!adapted(c, p)) continue;
    const auto& bank = *c.trainables.bank;
    list.push_back({.bit = static_cast<int>(p),
                    .key = dropout_key(c, p),
                    .a_SRD = bank.a_SRD(c.layer, p),
                    .b_SOR = bank.b_SOR(c.layer, p),
                    .s_TR = act.s_TR[static_cast<std::size_t>(p)],
                    .dy_TO = dy,
                    .da_SRD = bank.grad_a_SRD(c.layer, p),
                    .db_SOR = bank.grad_b_SOR(c.layer, p)});
  }
  if (!list.empty()) ops::adapter_backward(x, c.pack.groups, list, dx);
}

// dw += dy^T x, db += column sums of dy; in fp32.
void weight_gradient(const at::Tensor& dy, const at::Tensor& x, at::Tensor& dw, at::Tensor& db) {
  ops::add_weight_gradient(dy, x, dw);
  if (db.defined()) db.add_(dy.sum(0, false, db.scalar_type()));
}

at::Tensor heads(const at::Tensor& x, std::int64_t head_dim) {
  return x.unflatten(1, {x.size(1) / head_dim, head_dim});
}

struct Queries {
  at::Tensor q_THK, k_TGK, v_TGK;
};

// What attention reads: views of the stacked projections, or the normalised copies.
Queries attention_inputs(const BlockContext& c, const BlockActivations& act) {
  const auto& o = c.base.options;
  const auto part = [&](Projection p) { return columns(act.qkv_TE, stacked_rows(o, p)); };
  const at::Tensor q = o.qk_norm ? act.q_TO : part(Projection::q), k = o.qk_norm ? act.k_TG : part(Projection::k);
  return {heads(q, o.head_dim), heads(k, o.head_dim), heads(part(Projection::v), o.head_dim)};
}

void normalise_heads(const BlockContext& c, BlockActivations& act) {
  const auto& o = c.base.options;
  const auto& w = c.base.blocks[static_cast<std::size_t>(c.layer)];
  const auto norm = [&](Projection p, const at::Tensor& weight, at::Tensor& out, at::Tensor& rstd) {
    const at::Tensor x = columns(act.qkv_TE, stacked_rows(o, p)).reshape({-1, o.head_dim});
    at::Tensor y = out.view({-1, o.head_dim});
    ops::rmsnorm_forward(x, weight, o.norm_epsilon, y, rstd);
  };
  norm(Projection::q, w.q_norm_K, act.q_TO, act.rstd_q);
  norm(Projection::k, w.k_norm_K, act.k_TG, act.rstd_k);
}

void attention_part(const BlockContext& c, BlockActivations& act) {
  const auto& o = c.base.options;
  const auto& w = c.base.blocks[static_cast<std::size_t>(c.layer)];
  at::Tensor normed = c.workspace.get(kNormed, 0, c.pack.tokens, o.width, act.x_TD.scalar_type(), act.x_TD.device());
  ops::rmsnorm_forward(act.x_TD, w.input_norm_D, o.norm_epsilon, normed, act.rstd_attention_T);
  linear(normed, w.qkv_ED, w.qkv_bias_E, act.qkv_TE);
  const auto part = [&](Projection p) { return columns(act.qkv_TE, stacked_rows(o, p)); };
  adapters_forward(c, act, normed,
                   {{Projection::q, part(Projection::q)},
                    {Projection::k, part(Projection::k)},
                    {Projection::v, part(Projection::v)}});
  if (o.qk_norm) normalise_heads(c, act);
  Queries in = attention_inputs(c, act);
  ops::rotary(in.q_THK, c.base.cos_PK, c.base.sin_PK, c.pack.positions_T, false);
  ops::rotary(in.k_TGK, c.base.cos_PK, c.base.sin_PK, c.pack.positions_T, false);
  at::Tensor o_THK = heads(act.o_TO, o.head_dim);
  const ops::AttentionOptions how{.scale = 1.0 / std::sqrt(static_cast<double>(o.head_dim)),
                                  .window = o.window[static_cast<std::size_t>(c.layer)]};
  ops::attention_forward(in.q_THK, in.k_TGK, in.v_TGK, c.pack.segments, how, o_THK, act.lse_HT);
  linear_add(act.x_TD, act.o_TO, w.o_DO, w.o_bias_D, act.middle_TD);
  adapters_forward(c, act, act.o_TO, {{Projection::o, act.middle_TD}});
}

void mlp_part(const BlockContext& c, BlockActivations& act, at::Tensor& y_TD) {
  const auto& o = c.base.options;
  const auto& w = c.base.blocks[static_cast<std::size_t>(c.layer)];
  const auto dtype = act.x_TD.scalar_type();
  at::Tensor normed = c.workspace.get(kNormed, 0, c.pack.tokens, o.width, dtype, act.x_TD.device());
  ops::rmsnorm_forward(act.middle_TD, w.post_norm_D, o.norm_epsilon, normed, act.rstd_mlp_T);
  linear(normed, w.gate_up_2FD, w.gate_up_bias_2F, act.gate_up_T2F);
  const at::Tensor gate = columns(act.gate_up_T2F, stacked_rows(o, Projection::gate));
  const at::Tensor up = columns(act.gate_up_T2F, stacked_rows(o, Projection::up));
  adapters_forward(c, act, normed, {{Projection::gate, gate}, {Projection::up, up}});
  at::Tensor hidden = c.workspace.get(kHidden, 0, c.pack.tokens, o.mlp_width, dtype, act.x_TD.device());
  ops::swiglu_forward(gate, up, hidden);
  linear_add(act.middle_TD, hidden, w.down_DF, w.down_bias_D, y_TD);
  adapters_forward(c, act, hidden, {{Projection::down, y_TD}});
}

FullGradients::Block* full_block(const BlockContext& c) {
  return c.trainables.full == nullptr ? nullptr : &c.trainables.full->blocks[static_cast<std::size_t>(c.layer)];
}

// dx += gradient through the MLP; dx is the gradient of the block's output.
void mlp_backward(const BlockContext& c, const BlockActivations& act, at::Tensor& dx_TD, bool needs_dx) {
  const auto& o = c.base.options;
  const auto& w = c.base.blocks[static_cast<std::size_t>(c.layer)];
  auto* full = full_block(c);
  const auto dtype = dx_TD.scalar_type();
  const auto buffer = [&](int name, std::int64_t width) {
    return c.workspace.get(name, 0, c.pack.tokens, width, dtype, dx_TD.device());
  };
  const at::Tensor gate = columns(act.gate_up_T2F, stacked_rows(o, Projection::gate));
  const at::Tensor up = columns(act.gate_up_T2F, stacked_rows(o, Projection::up));
  at::Tensor hidden = buffer(kHidden, o.mlp_width);
  ops::swiglu_forward(gate, up, hidden);
  at::Tensor dhidden = buffer(kDHidden, o.mlp_width);
  at::mm_out(dhidden, dx_TD, w.down_DF);
  adapters_backward(c, act, hidden, {{Projection::down, dx_TD}}, dhidden);
  if (full) weight_gradient(dx_TD, hidden, full->down_DF, full->down_bias_D);

  at::Tensor dgate_up = buffer(kDGateUp, 2 * o.mlp_width);
  at::Tensor dgate = columns(dgate_up, stacked_rows(o, Projection::gate));
  at::Tensor dup = columns(dgate_up, stacked_rows(o, Projection::up));
  ops::swiglu_backward(dhidden, gate, up, dgate, dup);
  const bool trains = full || any_adapted(c, {Projection::gate, Projection::up});
  if (!trains && !needs_dx) return;
  at::Tensor normed = buffer(kNormed, o.width);
  at::Tensor rstd = act.rstd_mlp_T;
  if (trains) ops::rmsnorm_forward(act.middle_TD, w.post_norm_D, o.norm_epsilon, normed, rstd);
  if (full) weight_gradient(dgate_up, normed, full->gate_up_2FD, full->gate_up_bias_2F);
  at::Tensor dnormed;
  if (needs_dx) {
    dnormed = buffer(kDNormed, o.width);
    at::mm_out(dnormed, dgate_up, w.gate_up_2FD);
  }
  adapters_backward(c, act, normed, {{Projection::gate, dgate}, {Projection::up, dup}}, dnormed);
  if (needs_dx) {
    ops::rmsnorm_backward(dnormed, act.middle_TD, w.post_norm_D, act.rstd_mlp_T, dx_TD, true,
                          full ? full->post_norm_D : at::Tensor());
  }
}

// Gradients of q and k from after the norm and rotation to before it, into their columns of dqkv.
void heads_backward(const BlockContext& c, const BlockActivations& act, const at::Tensor& dqkv_TE,
                    const at::Tensor& dq_TO, const at::Tensor& dk_TG) {
  const auto& o = c.base.options;
  const auto& w = c.base.blocks[static_cast<std::size_t>(c.layer)];
  auto* full = full_block(c);
  const auto back = [&](Projection p, const at::Tensor& dy, const at::Tensor& weight, const at::Tensor& rstd,
                        const at::Tensor& dweight) {
    at::Tensor target = columns(dqkv_TE, stacked_rows(o, p));
    const at::Tensor x = columns(act.qkv_TE, stacked_rows(o, p)).reshape({-1, o.head_dim});
    at::Tensor dx = at::empty_like(x);
    ops::rmsnorm_backward(dy.view({-1, o.head_dim}), x, weight, rstd, dx, false, dweight);
    target.copy_(dx.view(target.sizes()));
  };
  back(Projection::q, dq_TO, w.q_norm_K, act.rstd_q, full ? full->q_norm_K : at::Tensor());
  back(Projection::k, dk_TG, w.k_norm_K, act.rstd_k, full ? full->k_norm_K : at::Tensor());
}

// dx += gradient through attention; dx is the gradient of the residual stream after attention.
void attention_backward(const BlockContext& c, const BlockActivations& act, at::Tensor& dx_TD, bool needs_dx) {
  const auto& o = c.base.options;
  const auto& w = c.base.blocks[static_cast<std::size_t>(c.layer)];
  auto* full = full_block(c);
  const auto dtype = dx_TD.scalar_type();
  const auto buffer = [&](int name, std::int64_t width) {
    return c.workspace.get(name, 0, c.pack.tokens, width, dtype, dx_TD.device());
  };
  const bool trains_qkv = full || any_adapted(c, {Projection::q, Projection::k, Projection::v});
  const bool goes_on = trains_qkv || needs_dx;
  at::Tensor do_TO;
  if (goes_on) {
    do_TO = buffer(kDO, o.heads * o.head_dim);
    at::mm_out(do_TO, dx_TD, w.o_DO);
  }
  adapters_backward(c, act, act.o_TO, {{Projection::o, dx_TD}}, do_TO);
  if (full) weight_gradient(dx_TD, act.o_TO, full->o_DO, full->o_bias_D);
  if (!goes_on) return;

  at::Tensor dqkv = buffer(kDQkv, act.qkv_TE.size(1));
  const auto part = [&](Projection p) { return columns(dqkv, stacked_rows(o, p)); };
  const at::Tensor dq = o.qk_norm ? buffer(kDQ, o.heads * o.head_dim) : part(Projection::q);
  const at::Tensor dk = o.qk_norm ? buffer(kDK, o.kv_heads * o.head_dim) : part(Projection::k);
  at::Tensor dq_THK = heads(dq, o.head_dim), dk_TGK = heads(dk, o.head_dim);
  at::Tensor dv_TGK = heads(part(Projection::v), o.head_dim);
  const Queries in = attention_inputs(c, act);
  const ops::AttentionOptions how{.scale = 1.0 / std::sqrt(static_cast<double>(o.head_dim)),
                                  .window = o.window[static_cast<std::size_t>(c.layer)]};
  ops::attention_backward(heads(do_TO, o.head_dim), in.q_THK, in.k_TGK, in.v_TGK, heads(act.o_TO, o.head_dim),
                          act.lse_HT, c.pack.segments, how, dq_THK, dk_TGK, dv_TGK);
  ops::rotary(dq_THK, c.base.cos_PK, c.base.sin_PK, c.pack.positions_T, true);
  ops::rotary(dk_TGK, c.base.cos_PK, c.base.sin_PK, c.pack.positions_T, true);
  if (o.qk_norm) heads_backward(c, act, dqkv, dq, dk);

  at::Tensor normed = buffer(kNormed, o.width);
  at::Tensor rstd = act.rstd_attention_T;
  if (trains_qkv) ops::rmsnorm_forward(act.x_TD, w.input_norm_D, o.norm_epsilon, normed, rstd);
  if (full) weight_gradient(dqkv, normed, full->qkv_ED, full->qkv_bias_E);
  at::Tensor dnormed;
  if (needs_dx) {
    dnormed = buffer(kDNormed, o.width);
    at::mm_out(dnormed, dqkv, w.qkv_ED);
  }
  adapters_backward(c, act, normed,
                    {{Projection::q, part(Projection::q)},
                     {Projection::k, part(Projection::k)},
                     {Projection::v, part(Projection::v)}},
                    dnormed);
  if (needs_dx) {
    ops::rmsnorm_backward(dnormed, act.x_TD, w.input_norm_D, act.rstd_attention_T, dx_TD, true,
                          full ? full->input_norm_D : at::Tensor());
  }
}

}  // namespace

BlockActivations block_buffers(const BlockContext& c, const at::Tensor& x_TD) {
  const auto& o = c.base.options;
  const auto dtype = x_TD.scalar_type();
  const auto wide = wide_dtype(dtype);
  const std::int64_t tokens = c.pack.tokens, layer = c.keep ? c.layer : 0;
  const std::int64_t q = o.heads * o.head_dim, kv = o.kv_heads * o.head_dim;
  const auto get = [&](int name, std::int64_t rows, std::int64_t width, at::ScalarType type) {
    return c.workspace.get(name, layer, rows, width, type, x_TD.device());
  };
  BlockActivations act;
  act.x_TD = x_TD;
  act.middle_TD = get(kMiddle, tokens, o.width, dtype);
  act.rstd_attention_T = get(kRstdAttention, tokens, 1, wide).flatten();
  act.rstd_mlp_T = get(kRstdMlp, tokens, 1, wide).flatten();
  act.qkv_TE = get(kQkv, tokens, q + 2 * kv, dtype);
  if (o.qk_norm) {
    act.q_TO = get(kQ, tokens, q, dtype);
    act.k_TG = get(kK, tokens, kv, dtype);
    act.rstd_q = get(kRstdQ, tokens * o.heads, 1, wide).flatten();
    act.rstd_k = get(kRstdK, tokens * o.kv_heads, 1, wide).flatten();
  }
  act.o_TO = get(kO, tokens, q, dtype);
  act.lse_HT = get(kLse, 1, o.heads * tokens, wide).view({o.heads, tokens});
  act.gate_up_T2F = get(kGateUp, tokens, 2 * o.mlp_width, dtype);
  for (int p = 0; p < kProjections; ++p) {
    if (!adapted(c, static_cast<Projection>(p))) continue;
    act.s_TR[static_cast<std::size_t>(p)] = get(kS + p, tokens, c.trainables.bank->rank(), wide);
  }
  return act;
}

void block_forward(const BlockContext& c, BlockActivations& act, at::Tensor& y_TD) {
  attention_part(c, act);
  mlp_part(c, act, y_TD);
}

void block_backward(const BlockContext& c, const BlockActivations& act, at::Tensor& dx_TD, bool needs_input_gradient) {
  const bool attention_trains =
      c.trainables.full || any_adapted(c, {Projection::q, Projection::k, Projection::v, Projection::o});
  mlp_backward(c, act, dx_TD, needs_input_gradient || attention_trains);
  if (needs_input_gradient || attention_trains) attention_backward(c, act, dx_TD, needs_input_gradient);
}

}  // namespace finetune
