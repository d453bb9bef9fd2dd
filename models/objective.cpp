#include "models/objective.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "models/decoder.h"
#include "models/objectives/objectives.h"

namespace finetune {
namespace {

class Sft : public Objective {
 public:
  at::Tensor weights(const Pack& pack, const PackLosses*) const override { return pack.scale_N; }
  std::vector<Figure> figures(const Pack&, const PackLosses& losses) const override {
    return {{"loss", losses.nll_N}, {"token_accuracy", losses.correct_N}};
  }
};

}  // namespace

const Objective& sft() {
  static const Sft kSft;
  return kSft;
}

std::span<const NamedObjective> objectives() {
  static const NamedObjective kAll[] = {
      {"sft", sft()}, {"dpo", dpo()}, {"orpo", orpo()}, {"kto", kto()}, {"simpo", simpo()}};
  return kAll;
}

const Objective& objective_named(const std::string& name) {
  const auto all = objectives();
  return std::ranges::find_if(all, [&](const NamedObjective& one) { return name == one.name; })->objective;
}

}  // namespace finetune
