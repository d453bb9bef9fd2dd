#include "models/objectives/token_losses.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "models/decoder.h"

namespace finetune {
namespace {

// A loop of ATen takes two of the widest vectors at a time; what remains is computed by other functions, and a row's
// bits would hang on its place. Below so many rows no loop is divided among threads.
constexpr std::int64_t kRowsFilledTo = 16, kRowsPerBlock = 16384;

// Columns over the rows of a block, in double, filled up.
struct Columns {
  at::Tensor nll, weight, logprob, advantage, low, high;
  at::Tensor is_ratio, is_ppo, is_cispo;
};

// What is computed of a block.
struct Terms {
  at::Tensor factor;  // derivative by the row's nll, its weight aside
  at::Tensor loss;    // its weight applied
};

bool has_ratio(const TokenTerm& term) {
  return term.loss != TokenLoss::cross_entropy;
}

template <typename Value>
at::Tensor column(std::span<const TokenTerm> terms, std::int64_t rows, at::Device device, const Value& value) {
  at::Tensor host = at::empty({(rows + kRowsFilledTo - 1) / kRowsFilledTo * kRowsFilledTo}, at::kDouble);
  auto* data = host.mutable_data_ptr<double>();
  const TokenTerm plain;
  for (std::int64_t i = 0; i < host.size(0); ++i)
    data[i] = static_cast<double>(value(i < std::ssize(terms) ? terms[static_cast<std::size_t>(i)] : plain));
  return host.to(device);
}

Columns columns_of(std::span<const TokenTerm> terms, const at::Tensor& nll_N) {
  const auto make = [&](const auto& value) { return column(terms, nll_N.size(0), nll_N.device(), value); };
  const auto is = [&](TokenLoss loss) { return make([=](const TokenTerm& term) { return term.loss == loss; }) > 0.5; };
  Columns c{.weight = make([](const TokenTerm& term) { return term.weight; }),
            .logprob = make([](const TokenTerm& term) { return term.logprob; }),
            .advantage = make([](const TokenTerm& term) { return term.advantage; }),
            .low = make([](const TokenTerm& term) { return term.clip_low; }),
            .high = make([](const TokenTerm& term) { return term.clip_high; }),
            .is_ratio = make([](const TokenTerm& term) { return has_ratio(term); }) > 0.5,
            .is_ppo = is(TokenLoss::ppo),
            .is_cispo = is(TokenLoss::cispo)};
  c.nll = at::zeros_like(c.weight);
  c.nll.narrow(0, 0, nll_N.size(0)).copy_(nll_N);
  return c;
}

Terms terms_of(const Columns& c) {
  // exp of what is no ratio might be infinite.
  const at::Tensor ratio = at::exp(at::where(c.is_ratio, -c.nll - c.logprob, at::zeros_like(c.nll)));
  const at::Tensor clipped = at::minimum(at::maximum(ratio, c.low), c.high);
  const at::Tensor gain = ratio * c.advantage, bounded = clipped * c.advantage;
  const at::Tensor ones = at::ones_like(ratio), zeros = at::zeros_like(ratio);
  at::Tensor factor = at::where(c.is_ppo & (gain > bounded), zeros, gain);
  factor = at::where(c.is_cispo, bounded, factor);
  at::Tensor loss = at::where(c.is_ppo, -at::minimum(gain, bounded), -gain);
  loss = at::where(c.is_cispo, bounded * c.nll, loss);
  return {at::where(c.is_ratio, factor, ones), at::where(c.is_ratio, loss, c.nll) * c.weight};
}

// visit(first, terms of the block), over all rows.
template <typename Visit>
void for_each_block(const Pack& pack, const at::Tensor& nll_N, const Visit& visit) {
  const std::span<const TokenTerm> terms(pack.terms);
  for (std::int64_t first = 0; first < nll_N.size(0); first += kRowsPerBlock) {
    const std::int64_t count = std::min(kRowsPerBlock, nll_N.size(0) - first);
    const auto skipped = std::min(terms.size(), static_cast<std::size_t>(first));
    const auto here = std::min(terms.size() - skipped, static_cast<std::size_t>(count));
    visit(first, count, terms_of(columns_of(terms.subspan(skipped, here), nll_N.narrow(0, first, count))));
  }
}

class TokenLosses : public Objective {
 public:
  at::Tensor weights(const Pack& pack, const PackLosses* losses) const override {
    if (std::ranges::none_of(pack.terms, has_ratio)) return pack.scale_N;
    if (losses == nullptr) return {};
    at::Tensor weight_N = at::empty_like(pack.scale_N);
    for_each_block(pack, losses->nll_N, [&](std::int64_t first, std::int64_t count, const Terms& terms) {
      const at::Tensor scale = at::zeros_like(terms.factor);
      scale.narrow(0, 0, count).copy_(pack.scale_N.narrow(0, first, count));
      weight_N.narrow(0, first, count).copy_((scale * terms.factor).narrow(0, 0, count));
    });
    return weight_N;
  }

  std::vector<Figure> figures(const Pack& pack, const PackLosses& losses) const override {
    if (pack.terms.empty()) return {{"loss", losses.nll_N}, {"nll", losses.nll_N}};
    at::Tensor loss_N = at::empty_like(losses.nll_N);
    for_each_block(pack, losses.nll_N, [&](std::int64_t first, std::int64_t count, const Terms& terms) {
      loss_N.narrow(0, first, count).copy_(terms.loss.narrow(0, 0, count));
    });
    return {{"loss", loss_N}, {"nll", losses.nll_N}};
  }
};

}  // namespace

const Objective& token_losses() {
  static const TokenLosses kTokenLosses;
  return kTokenLosses;
}

}  // namespace finetune
