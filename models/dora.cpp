#include "models/dora.h"

#include <ATen/ATen.h>

namespace finetune {
namespace {

// visit(layer, projection, norms_O) for all that the slot adapts.
template <typename Visit>
void for_each_norm(const AdapterBank& bank, std::int64_t slot, const SlotOptions& options, const DecoderBase& base,
                   const Visit& visit) {
  const std::int64_t rank = computed_rank(options.rank);
  for (std::int64_t layer = 0; layer < base.options.layers; ++layer) {
    for (const Projection p : options.targets.members()) {
      const at::Tensor a_RI = bank.a_SRD(layer, p).select(0, slot).narrow(0, 0, rank),
                       b_OR = bank.b_SOR(layer, p).select(0, slot).narrow(1, 0, rank);
      visit(layer, p, adapted_norms(dense_weight(base, layer, p), a_RI, b_OR, options.module(layer, p).scale));
    }
  }
}

// By rows, so that bits do not depend on threads.
at::Tensor product(const at::Tensor& x, const at::Tensor& w) {
  at::Tensor y = at::empty({x.size(0), w.size(0)}, x.options());
  ops::row_product(x, w, {}, y, false);
  return y;
}

}  // namespace

// Squares of sums: ||W||^2 + 2 scale B . (W A^T) + scale^2 B (A A^T) . B, without the sum of weights itself.
at::Tensor adapted_norms(const at::Tensor& weight_OI, const at::Tensor& a_RI, const at::Tensor& b_OR, double scale) {
  const at::Tensor a = a_RI.contiguous(), b = b_OR.contiguous(), w = weight_OI.to(a.scalar_type());
  const at::Tensor own_O = at::linalg_vector_norm(w, 2, at::IntArrayRef{1}).square();
  const at::Tensor cross_O = (b * product(w, a)).sum(1), square_O = (b * product(b, product(a, a))).sum(1);
  return (own_O + cross_O * (2 * scale) + square_O * (scale * scale)).clamp_min(0).sqrt();
}

void start_magnitudes(AdapterBank& bank, std::int64_t slot, const SlotOptions& options, const DecoderBase& base) {
  for_each_norm(bank, slot, options, base, [&](std::int64_t layer, Projection p, const at::Tensor& norms_O) {
    bank.m_SO(layer, p).select(0, slot).copy_(norms_O);
  });
}

void refresh_magnitudes(AdapterBank& bank, std::int64_t slot, const SlotOptions& options, const DecoderBase& base) {
  for_each_norm(bank, slot, options, base, [&](std::int64_t layer, Projection p, const at::Tensor& norms_O) {
    const at::Tensor inverse_O = norms_O.reciprocal();
    bank.inverse_norm_SO(layer, p).select(0, slot).copy_(inverse_O);
    bank.factor_SO(layer, p).select(0, slot).copy_(bank.m_SO(layer, p).select(0, slot) * inverse_O);
  });
}

}  // namespace finetune
