// Every operation as a composition of ATen ops: works on any device and dtype, and is the oracle of the kernels.
#include "kernels/torch/composite.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/api/dropout.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/profile.h"

namespace finetune::ops {
namespace composed {
namespace {

void rmsnorm_forward(const at::Tensor& x, const NormWeight& weight, double eps, at::Tensor& y, at::Tensor& rstd) {
  const at::Tensor f = x.to(wide(x)), &w = weight.w_D;
  const at::Tensor r = (f.square().mean(-1) + eps).rsqrt();
  rstd.copy_(r);
  const at::Tensor n = f * r.unsqueeze(-1);
  y.copy_(weight.unit_offset ? n * (w.to(f.scalar_type()) + 1) : n.to(x.scalar_type()) * w);
}
void rmsnorm_backward(const at::Tensor& dy, const at::Tensor& x, const NormWeight& weight, const at::Tensor& rstd,
                      at::Tensor& dx, bool accumulate, const at::Tensor& dw) {
  const auto t = wide(x);
  const at::Tensor r = rstd.to(t).unsqueeze(-1), n = x.to(t) * r;
  const at::Tensor w = weight.w_D.to(t), g = dy.to(t) * (weight.unit_offset ? w + 1 : w);
  if (dw.defined()) at::Tensor(dw).add_((dy.to(t) * n).sum(0));
  const at::Tensor d = (g - n * (g * n).mean(-1, true)) * r;
  if (accumulate)
    dx.add_(d);
  else
    dx.copy_(d);
}
void rotary(at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& pos, bool inverse) {
  const auto h = x.size(2) / 2;
  const at::Tensor c = cos.index_select(0, pos.to(at::kLong)).unsqueeze(1).to(x.scalar_type());
  at::Tensor s = sin.index_select(0, pos.to(at::kLong)).unsqueeze(1).to(x.scalar_type());
  if (inverse) s = -s;
  at::Tensor a = x.narrow(2, 0, h), b = x.narrow(2, h, h);
  const at::Tensor na = a * c - b * s, nb = b * c + a * s;
  a.copy_(na);
  b.copy_(nb);
}
void glu_forward(Activation activation, const at::Tensor& gate, const at::Tensor& up, at::Tensor& h) {
  h.copy_((activation == Activation::silu ? at::silu(gate) : at::gelu(gate, "tanh")) * up);
}
void glu_backward(Activation activation, const at::Tensor& dh, const at::Tensor& gate, const at::Tensor& up,
                  at::Tensor& dgate, at::Tensor& dup) {
  const auto t = wide(gate);
  const at::Tensor g = gate.to(t), d = dh.to(t), slope = d * up.to(t);
  const bool silu = activation == Activation::silu;
  const at::Tensor dg = silu ? at::silu_backward(slope, g) : at::gelu_backward(slope, g, "tanh"),
                   du = d * (silu ? at::silu(g) : at::gelu(g, "tanh"));
  dgate.copy_(dg);
  dup.copy_(du);
}
void cross_entropy(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& scale, at::Tensor& nll,
                   at::Tensor& correct, const at::Tensor& dlogits) {
  const auto t = wide(logits);
  const at::Tensor x = logits.to(t);
  const at::Tensor l = x.logsumexp(-1);
  nll.copy_(l - x.gather(1, targets.unsqueeze(1)).squeeze(1));
  correct.copy_(x.argmax(-1).eq(targets));
  if (!dlogits.defined()) return;
  at::Tensor d = (x - l.unsqueeze(1)).exp_();
  d.scatter_add_(1, targets.unsqueeze(1), -at::ones_like(targets.unsqueeze(1), d.options()));
  dlogits.copy_(d.mul_(scale.unsqueeze(1).to(t)));
}
at::Tensor dropped(const at::Tensor& x, const AdapterGroup& g, std::int64_t key) {
  if (g.dropout <= 0) return x;
  at::Tensor mask = at::empty(x.sizes(), at::TensorOptions(at::kFloat).pinned_memory(!x.is_cpu()));
  for (std::int64_t row = 0; row < x.size(0); ++row)
    kernels::dropout_row(g, key, row, mask.data_ptr<float>() + row * x.size(1), x.size(1));
  return x * mask.to(x.device(), x.scalar_type(), /*non_blocking=*/true);
}

// The rows of a group in tensors over the pack, and its adapter.
struct GroupViews {
  GroupViews(const AdapterGroup& g, const at::Tensor& a_SRD, const at::Tensor& b_SOR, const at::Tensor& s_TR)
      : group(g),
        a(a_SRD.select(0, g.slot).narrow(0, 0, g.rank)),
        b(b_SOR.select(0, g.slot).narrow(1, 0, g.rank)),
        s(rows(s_TR).narrow(1, 0, g.rank)) {}
  at::Tensor rows(const at::Tensor& x) const { return x.narrow(0, group.begin, group.end - group.begin); }

  const AdapterGroup& group;
  at::Tensor a, b, s;
};

static at::Tensor scaled(const at::Tensor& x, const AdapterGroup& group, const at::Tensor& scale_S) {
  return scale_S.defined() ? x * scale_S.select(0, group.slot).to(x.scalar_type()) : x * group.scale;
}

void adapter_forward(const at::Tensor& x, const AdapterGroups& groups, std::span<const AdapterOutput> outputs) {
  for (const auto& [bit, key, a_SRD, b_SOR, s_TR, y, scale_S] : outputs) {
    for (const AdapterGroup& g : groups.list) {
      if (!kernels::adapts(g, bit)) continue;
      const GroupViews of(g, a_SRD, b_SOR, s_TR);
      const at::Tensor s = at::mm(dropped(of.rows(x).to(of.a.scalar_type()), g, key), of.a.t());
      of.s.copy_(s);
      of.rows(y).add_(scaled(at::mm(s, of.b.t()), g, scale_S).to(y.scalar_type()));
    }
  }
}
void adapter_backward(const at::Tensor& x, const AdapterGroups& groups, std::span<const AdapterOutputGradient> outputs,
                      at::Tensor& dx) {
  for (const auto& [bit, key, a_SRD, b_SOR, s_TR, dy, da_SRD, db_SOR, scale_S] : outputs) {
    for (const AdapterGroup& g : groups.list) {
      if (!kernels::adapts(g, bit)) continue;
      const GroupViews of(g, a_SRD, b_SOR, s_TR), gradients(g, da_SRD, db_SOR, s_TR);
      const auto type = of.a.scalar_type();
      const at::Tensor d = scaled(of.rows(dy).to(type), g, scale_S), ds = at::mm(d, of.b);
      gradients.b.add_(at::mm(d.t(), of.s.to(type)));
      gradients.a.add_(at::mm(ds.t(), dropped(of.rows(x).to(type), g, key)));
      if (dx.defined()) of.rows(dx).add_(dropped(at::mm(ds, of.a), g, key).to(dx.scalar_type()));
    }
  }
}

void add_squares(const at::Tensor& piece, at::Tensor& sum) {
  const std::int64_t rows = piece.size(0), length = piece.size(1),
                     at_once = std::max<std::int64_t>(1, kOptimizerSlice / std::max<std::int64_t>(1, length));
  for (std::int64_t row = 0; row < rows; row += at_once) {
    const at::Tensor some = piece.narrow(0, row, std::min(at_once, rows - row));
    for (std::int64_t c = 0; c < length; c += kOptimizerSlice)
      sum += some.narrow(1, c, std::min(kOptimizerSlice, length - c)).to(at::kDouble).square().sum();
  }
}

void gradient_norms(const at::Tensor& grads, const NormPlan& plan, at::Tensor& norms) {
  for (std::size_t i = 0; i < plan.slots.size(); ++i) {
    const at::Tensor row = grads.select(0, plan.slots[i].slot);
    at::Tensor sum = at::zeros({}, norms.options());
    for (const auto& p : plan.slots[i].pieces)
      add_squares(row.as_strided({p.rows, p.length}, {p.stride, 1}, row.storage_offset() + p.offset), sum);
    norms.select(0, static_cast<std::int64_t>(i)).copy_(sum.sqrt());
  }
}
void row_sums(const at::Tensor& values, std::span<const RowRange> ranges, at::Tensor& sums) {
  for (const auto& [begin, end, to] : ranges)
    sums.select(0, to).add_(values.narrow(0, begin, end - begin).to(at::kDouble).sum());
}
// Whether a slot moves, how its gradient is clipped and its step are tensors: nothing waits for a device.
struct Move {
  at::Tensor moves, clip, step;  // no dimensions; clip undefined: none
};

// Elements [begin, begin + n) of the slot. Everything that takes memory comes before the first write.
void adamw_slice(const OptimizerState& state, const SlotUpdate& u, const Move& move, std::int64_t begin,
                 std::int64_t n) {
  const auto part = [&](const at::Tensor& all_SP) { return all_SP.select(0, u.slot).narrow(0, begin, n); };
  const at::Tensor p = part(state.params_SP), g = part(state.grads_SP), m = part(state.first_SP),
                   v = part(state.second_SP);
  const at::Tensor gs = move.clip.defined() ? g * move.clip : g;
  at::Tensor decayed = p.clone();
  at::Tensor rates;  // of ranges, where they differ
  for (const auto& range : u.decayed) {
    const std::int64_t first = std::max(range.begin, begin), last = std::min(range.end, begin + n);
    if (first >= last) continue;
    decayed.narrow(0, first - begin, last - first).mul_(1 - u.learning_rate * range.rate * u.weight_decay);
    if (range.rate == 1) continue;
    if (!rates.defined()) rates = at::ones_like(p);
    rates.narrow(0, first - begin, last - first).fill_(range.rate);
  }
  const at::Tensor new_m = m.lerp(gs, 1 - u.beta1), new_v = (v * u.beta2).addcmul_(gs, gs, 1 - u.beta2);
  const at::Tensor c1 = 1 - at::pow(u.beta1, move.step.to(at::kDouble)),
                   c2 = 1 - at::pow(u.beta2, move.step.to(at::kDouble));
  at::Tensor change = new_m / (new_v.sqrt() / c2.sqrt() + u.epsilon) * (u.learning_rate / c1);
  if (rates.defined()) change.mul_(rates);
  const at::Tensor new_p = decayed - change;
  const at::Tensor next_p = at::where(move.moves, new_p, p), next_m = at::where(move.moves, new_m, m),
                   next_v = at::where(move.moves, new_v, v);
  p.copy_(next_p);
  m.copy_(next_m);
  v.copy_(next_v);
}

void adamw(const OptimizerState& state, std::span<const SlotUpdate> updates, const at::Tensor& norms,
           const at::Tensor& losses, UpdateProgress& done) {
  for (; done.updates < updates.size(); ++done.updates, done.elements = 0) {
    const SlotUpdate& u = updates[done.updates];
    const auto entry = static_cast<std::int64_t>(done.updates);
    const at::Tensor norm = norms.select(0, entry), steps = state.steps_S.select(0, u.slot);
    const Move move{.moves = norm.isfinite() & losses.select(0, entry).isfinite(),
                    .clip = u.max_norm > 0 ? (u.max_norm / (norm + 1e-6)).clamp_max(1) : at::Tensor(),
                    .step = steps + 1};
    const std::int64_t parameters = state.params_SP.size(1);
    for (; done.elements < parameters; done.elements += kOptimizerSlice)
      adamw_slice(state, u, move, done.elements, std::min(kOptimizerSlice, parameters - done.elements));
    const at::Tensor next_step = at::where(move.moves, move.step, steps);
    steps.copy_(next_step);
    state.grads_SP.select(0, u.slot).zero_();
  }
}

}  // namespace

void softcap(double cap, at::Tensor& x, const at::Tensor& slope) {
  const at::Tensor t = at::tanh(x.to(wide(x)) / cap);
  if (slope.defined()) at::Tensor(slope).copy_(1 - t.square());
  x.copy_(t * cap);
}

void magnitude_backward(const at::Tensor& dy, const at::Tensor& z, const at::Tensor& factor,
                        const at::Tensor& inverse_norm, at::Tensor& dz, at::Tensor& dm) {
  const auto t = wide(dy);
  dm.add_((dy.to(t) * z.to(t) * inverse_norm.to(t)).sum(0));
  dz.copy_(dy.to(t) * factor.to(t));
}

constexpr Backend kAll = {rmsnorm_forward,
                          rmsnorm_backward,
                          rotary,
                          attention_forward,
                          attention_backward,
                          glu_forward,
                          glu_backward,
                          softcap,
                          cross_entropy,
                          adapter_forward,
                          adapter_backward,
                          gradient_norms,
                          row_sums,
                          adamw,
                          composed::cache_append,
                          composed::cached_attention,
                          composed::row_product,
                          magnitude_backward,
                          composed::packed_row_product,
                          composed::dequantize};

}  // namespace composed

const Backend& composite_backend() {
  return composed::kAll;
}

void embedding_forward(const at::Tensor& ids, const at::Tensor& table, at::Tensor& y) {
  if (y.scalar_type() == table.scalar_type())
    at::index_select_out(y, table, 0, ids);
  else
    y.copy_(table.index_select(0, ids));
}

void add_rows(const at::Tensor& rows, const at::Tensor& values, at::Tensor& to) {
  if (to.is_cuda())
    at::_index_put_impl_(to, {rows}, values, /*accumulate=*/true, /*unsafe=*/true);
  else
    to.index_add_(0, rows, values);
}

void embedding_backward(const at::Tensor& ids, const at::Tensor& dy, at::Tensor& dtable) {
  add_rows(ids, dy.to(dtable.scalar_type()), dtable);
}

void add_weight_gradient(const at::Tensor& dy, const at::Tensor& x, at::Tensor& dw) {
  const Timed timed(Part::base, [&] {
    const bool slices = dy.is_cpu();  // which are timed themselves
    return slices ? Work{} : product_work(dy.size(1), dy.size(0), x.size(1), dy.element_size(), true);
  });
  if (dy.is_cuda() && dy.scalar_type() == at::kBFloat16 && dw.scalar_type() == at::kFloat)
    at::addmm_out(dw, dw, dy.t(), x, at::kFloat);  // sums in fp32 and in place: a vocabulary's gradient has no twin
  else
    product(dy.t().to(dw.scalar_type()), x.to(dw.scalar_type()), dw, true);
}

}  // namespace finetune::ops
