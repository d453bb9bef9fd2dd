#include "engine/adopt_adapter.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"
#include "engine/parameter_store.h"

namespace finetune {
namespace {

std::vector<std::string> names_in(const ProjectionSet& targets) {
  std::vector<std::string> names;
  for (const Projection p : targets.members()) names.emplace_back(name_of(p));
  return names;
}

}  // namespace

void adopt_adapter(RunConfig& config, const AdapterSpec& spec, const DecoderOptions& model) {
  LoraConfig& lora = config.train.lora;
  const auto expect = [&](const std::string& key, bool agrees, const std::string& value) {
    if (std::ranges::find(config.search, key, &SearchParameter::name) != config.search.end())
      throw bad_input("", "search." + key + " conflicts with model.adapter, which has " + value + " for all trials");
    if (config.is_given(key) && !agrees)
      throw bad_input("", key + " conflicts with model.adapter, which has " + value + "; leave " + key + " out");
  };
  const double rank = static_cast<double>(spec.rank);
  const std::string alpha = "alpha " + number_to_text(spec.alpha);
  // 0.1 x 30 and 3 are one alpha: a few roundings apart.
  const bool same_ratio =
      lora.alpha_over_rank && std::abs(*lora.alpha_over_rank * rank - spec.alpha) <= 1e-12 * std::abs(spec.alpha);
  const bool same_targets =
      config.is_given("train.lora.targets") && resolve_targets(model, lora.targets) == spec.targets;
  expect("train.lora.rank", lora.rank == spec.rank, "rank " + std::to_string(spec.rank));
  expect("train.lora.alpha", lora.alpha == spec.alpha, alpha);
  expect("train.lora.alpha_over_rank", same_ratio, alpha + " and rank " + std::to_string(spec.rank));
  expect("train.lora.rslora", lora.rslora == spec.rslora, spec.rslora ? "rslora" : "no rslora");
  expect("train.lora.init", lora.init == LoraInit::standard, "weights already");
  expect("train.lora.dora", lora.dora == spec.dora, spec.dora ? "DoRA" : "no DoRA");
  expect("train.lora.rank_pattern", lora.rank_pattern == spec.patterns.ranks, "its own ranks by module");
  expect("train.lora.alpha_pattern", lora.alpha_pattern == spec.patterns.alphas, "its own alphas by module");
  expect("train.lora.modules_to_save", saved_modules_of(lora) == spec.saved,
         spec.saved.empty() ? "no modules_to_save" : "modules_to_save " + join(spec.saved.names(), ", "));
  expect("train.lora.targets", same_targets, "targets " + join(names_in(spec.targets), ", "));
  lora.rank = spec.rank;
  lora.alpha = spec.alpha;
  lora.rslora = spec.rslora;
  lora.dora = spec.dora;
  lora.rank_pattern = spec.patterns.ranks;
  lora.alpha_pattern = spec.patterns.alphas;
  lora.modules_to_save = spec.saved.names();
  lora.targets = names_in(spec.targets);
  lora.alpha_over_rank.reset();
}

}  // namespace finetune
