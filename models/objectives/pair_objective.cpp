#include "models/objectives/pair_objective.h"

#include <ATen/ATen.h>

namespace finetune {

at::Tensor PairObjective::weights(const Pack& pack, const PackLosses* losses) const {
  if (losses == nullptr) return {};
  const ExampleTable table(pack, losses->nll_N, 2);
  const PairTerms pairs = terms(table);
  const at::Tensor share = table.of_trial([](const WeighedTrial& trial) { return 1 / trial.examples; });
  at::Tensor weight_N = table.at_answers({pairs.by_chosen * share, pairs.by_rejected * share});
  if (learns_chosen())
    weight_N.add_(table.at_first_sequences([](const WeighedTrial& trial) { return 1 / trial.first_rows; }));
  return weight_N;
}

std::vector<Figure> PairObjective::figures(const Pack& pack, const PackLosses& losses) const {
  const ExampleTable table(pack, losses.nll_N, 2);
  const PairTerms pairs = terms(table);
  at::Tensor loss_N = table.at_examples(pairs.loss);
  // A mean over tokens, as a part of the mean over examples.
  if (learns_chosen())
    loss_N.add_(losses.nll_N *
                table.at_first_sequences([](const WeighedTrial& trial) { return trial.examples / trial.first_rows; }));
  return {
      {"loss", loss_N},
      {"preference_accuracy", table.at_examples(at::gt(pairs.chosen_reward, pairs.rejected_reward).to(at::kDouble))},
      {"reward_margin", table.at_examples(pairs.chosen_reward - pairs.rejected_reward)}};
}

}  // namespace finetune
