#include <ATen/ATen.h>

#include "models/objectives/pair_objective.h"

namespace finetune {
namespace {

class Simpo : public PairObjective {
 protected:
  PairTerms terms(const ExampleTable& table) const override {
    const at::Tensor beta = table.of_trial([](const WeighedTrial& trial) { return trial.beta; });
    const at::Tensor gamma = table.of_trial([](const WeighedTrial& trial) { return trial.gamma; });
    const at::Tensor chosen_rows = table.answer_rows(0), rejected_rows = table.answer_rows(1);
    const at::Tensor chosen = -table.answer_nll(0) / chosen_rows * beta;
    const at::Tensor rejected = -table.answer_nll(1) / rejected_rows * beta;
    const at::Tensor lead = chosen - rejected - gamma, pull = at::sigmoid(-lead) * beta;
    return {.loss = -at::log_sigmoid(lead),
            .by_chosen = pull / chosen_rows,
            .by_rejected = -pull / rejected_rows,
            .chosen_reward = chosen,
            .rejected_reward = rejected};
  }
};

}  // namespace

const Objective& simpo() {
  static const Simpo kSimpo;
  return kSimpo;
}

}  // namespace finetune
