#include "models/pissa.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <string>

#include "core/error.h"

namespace finetune {
namespace {

struct Factors {
  at::Tensor a_RI, b_OR;
};

Factors factors_of(const PrincipalPart& part, const SlotOptions& options, const std::string& where) {
  if (part.s_R.size(0) < options.rank)
    throw bad_input("", "train.lora.init: pissa needs " + std::to_string(options.rank) + " singular values of " +
                            where + ", which has " + std::to_string(part.s_R.size(0)) + "; lower train.lora.rank");
  const at::Tensor root_R = (part.s_R.narrow(0, 0, options.rank) / options.scale).sqrt();
  return {root_R.unsqueeze(1) * part.v_RI.narrow(0, 0, options.rank), part.u_OR.narrow(1, 0, options.rank) * root_R};
}

// Columns of b and rows of a from `first` on.
void put(AdapterBank& bank, std::int64_t slot, std::int64_t layer, Projection p, std::int64_t first,
         const at::Tensor& a, const at::Tensor& b) {
  bank.a_SRD(layer, p).select(0, slot).narrow(0, first, a.size(0)).copy_(a);
  bank.b_SOR(layer, p).select(0, slot).narrow(1, first, b.size(1)).copy_(b);
}

// By the eigenvectors of the smaller of W W^T and W^T W, in fp64: the largest singular values come out as exact as
// those of a whole decomposition, some ten times as fast.
PrincipalPart principal_part(const at::Tensor& weight_OI, std::int64_t rank) {
  const bool wide = weight_OI.size(0) <= weight_OI.size(1);
  const at::Tensor w = wide ? weight_OI.to(at::kDouble) : weight_OI.to(at::kDouble).t();
  const auto [squares, vectors] = at::linalg_eigh(at::mm(w, w.t()), "L");  // ascending
  const std::int64_t kept = std::min(rank, w.size(0));
  const at::Tensor s_R = squares.slice(0, w.size(0) - kept).flip(0).clamp_min(0).sqrt();
  const at::Tensor u = vectors.slice(1, w.size(0) - kept).flip(1);
  const at::Tensor v = at::mm(u.t(), w) / s_R.clamp_min(std::numeric_limits<double>::min()).unsqueeze(1);
  const auto narrow = [](const at::Tensor& x) { return x.to(at::kFloat).contiguous(); };
  if (wide) return {narrow(u), narrow(s_R), narrow(v)};
  return {narrow(v.t()), narrow(s_R), narrow(u.t())};
}

template <typename Visit>
void for_each_factors(const SlotOptions& options, const PrincipalParts& parts, const Visit& visit) {
  for (std::size_t layer = 0; layer < parts.size(); ++layer) {
    for (const Projection p : options.targets.members()) {
      const std::string where = std::string(name_of(p)) + " of layer " + std::to_string(layer);
      visit(static_cast<std::int64_t>(layer), p, factors_of(parts[layer][p], options, where));
    }
  }
}

}  // namespace

PrincipalParts principal_parts(const DecoderBase& base, ProjectionSet targets, std::int64_t rank,
                               const std::function<void()>& check) {
  PrincipalParts parts(base.blocks.size());
  for (std::size_t layer = 0; layer < parts.size(); ++layer) {
    for (const Projection p : targets.members()) {
      if (check) check();
      parts[layer][p] = principal_part(dense_weight(base, static_cast<std::int64_t>(layer), p), rank);
    }
  }
  return parts;
}

void start_pissa(AdapterBank& bank, std::int64_t slot, const SlotOptions& options, const PrincipalParts& parts) {
  for (auto* tensor : {&bank.params_SP, &bank.grads_SP, &bank.first_SP, &bank.second_SP})
    tensor->select(0, slot).zero_();
  for_each_factors(options, parts, [&](std::int64_t layer, Projection p, const Factors& f) {
    put(bank, slot, layer, p, 0, f.a_RI, f.b_OR);
    put(bank, slot, layer, p, options.rank, f.a_RI, -f.b_OR);
  });
}

void restore_pissa(AdapterBank& bank, std::int64_t slot, const SlotOptions& options, const PrincipalParts& parts) {
  for_each_factors(options, parts, [&](std::int64_t layer, Projection p, const Factors& f) {
    put(bank, slot, layer, p, options.rank, f.a_RI, -f.b_OR);
  });
}

}  // namespace finetune
