#include <ATen/ATen.h>

#include "models/objectives/pair_objective.h"

namespace finetune {
namespace {

class Orpo : public PairObjective {
 protected:
  bool learns_chosen() const override { return true; }

  // Odds are p / (1 - p) of p = exp(mean log-likelihood); the derivative of their logarithm by the mean is 1 / (1 - p).
  PairTerms terms(const ExampleTable& table) const override {
    const at::Tensor beta = table.of_trial([](const WeighedTrial& trial) { return trial.beta; });
    const at::Tensor chosen_rows = table.answer_rows(0), rejected_rows = table.answer_rows(1);
    const at::Tensor chosen = -table.answer_nll(0) / chosen_rows, rejected = -table.answer_nll(1) / rejected_rows;
    const at::Tensor chosen_rest = -at::expm1(chosen), rejected_rest = -at::expm1(rejected);
    const at::Tensor lead = chosen - rejected - (at::log(chosen_rest) - at::log(rejected_rest));
    const at::Tensor pull = at::sigmoid(-lead) * beta;
    return {.loss = -at::log_sigmoid(lead) * beta,
            .by_chosen = pull / (chosen_rest * chosen_rows),
            .by_rejected = -pull / (rejected_rest * rejected_rows),
            .chosen_reward = chosen * beta,
            .rejected_reward = rejected * beta};
  }
};

}  // namespace

const Objective& orpo() {
  static const Orpo kOrpo;
  return kOrpo;
}

}  // namespace finetune
