#include "models/blocks/context.h"

#include <algorithm>

#include "models/generate/kv_cache.h"

namespace finetune {
namespace {

bool is_adapted(const BlockContext& c, Projection p) {
  return c.trainables.bank != nullptr && ProjectionSet::from_bits(c.pack.groups.projections).has(p);
}

AdapterPlace place_of(const BlockContext& c, Projection p) {
  const AdapterBank& bank = *c.trainables.bank;
  const auto [first, count] = stacked_rows(c.options(), p);
  const int bit = static_cast<int>(p);
  AdapterPlace place{.bit = bit,
                     .key = projection_key(c.layer, p),
                     .first = first,
                     .count = count,
                     .a_SRD = bank.a_SRD(c.layer, p),
                     .b_SOR = bank.b_SOR(c.layer, p),
                     .da_SRD = bank.grad_a_SRD(c.layer, p),
                     .db_SOR = bank.grad_b_SOR(c.layer, p),
                     .s_TR = c.kept(kS + bit, c.pack.tokens, bank.rank(), wide_dtype(c.dtype())),
                     .scale_S = bank.scale_S(c.layer, p)};
  if (!bank.has_magnitudes()) return place;
  place.factor_SO = bank.factor_SO(c.layer, p);
  place.inverse_norm_SO = bank.inverse_norm_SO(c.layer, p);
  place.dm_SO = bank.grad_m_SO(c.layer, p);
  return place;
}

bool some_have_magnitudes(const BlockContext& c) {
  return std::ranges::any_of(c.pack.groups.list, [](const ops::AdapterGroup& group) { return group.magnitudes; });
}

bool by_row(const Pack& pack) {
  return pack.cached != nullptr && pack.cached->by_row;
}

at::Tensor dense_buffer(const BlockContext& c, Stack stack, std::int64_t place, std::int64_t rows,
                        std::int64_t columns) {
  return c.workspace.get(kDense + static_cast<int>(stack), place, rows, columns, c.base.embed_VD.scalar_type(),
                         c.base.embed_VD.device());
}

// Row by row the numbers need no room. On the processor one buffer serves all projections in turn.
void set_packed(const BlockContext& c, Stack stack, Linear& linear) {
  if (uses_ring(c.base, c.pack)) {
    linear.weight_OI = c.workspace.ring().weight(stack);
    return;
  }
  linear.packed = &packed_stack(c.base.packed[static_cast<std::size_t>(c.layer)], stack);
  if (!linear.by_row)
    linear.weight_OI = dense_buffer(c, Stack::qkv, 0, linear.outputs(), linear.packed->front().columns);
}

}  // namespace

bool uses_ring(const DecoderBase& base, const Pack& pack) {
  return !base.packed.empty() && !base.embed_VD.is_cpu() && !by_row(pack);
}

void take_weights(const BlockContext& c, std::optional<std::int64_t> next) {
  c.workspace.ring().take(c.base.packed, c.layer, next,
                          [&c](Stack stack, int place, std::int64_t rows, std::int64_t columns) {
                            return dense_buffer(c, stack, place, rows, columns);
                          });
}

Linear projections(const BlockContext& c, Stack stack) {
  const std::span<const Projection> modules = modules_of(c.options(), stack);
  const Projection first = modules.front();
  const auto gradients = c.gradients();
  const auto [weight, bias] = stacked_tensors(c.weights(), first);
  const auto [dweight, dbias] = stacked_tensors(gradients, first);
  Linear linear{.weight_OI = weight,
                .bias_O = bias,
                .dweight_OI = dweight,
                .dbias_O = dbias,
                .groups = &c.pack.groups,
                .by_row = by_row(c.pack)};
  if (!c.base.packed.empty()) set_packed(c, stack, linear);
  for (const Projection p : modules) {
    if (is_adapted(c, p)) linear.adapters.push_back(place_of(c, p));
  }
  if (!linear.adapters.empty() && some_have_magnitudes(c)) {
    linear.z_TO = c.kept(kZ + static_cast<int>(stack), linear.outputs());
    linear.dz_TO = c.scratch(kDZ, linear.outputs());
  }
  return linear;
}

}  // namespace finetune
