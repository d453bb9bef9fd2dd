#include <ATen/ATen.h>

#include "models/objectives/pair_objective.h"

namespace finetune {
namespace {

class Dpo : public PairObjective {
 public:
  bool needs_reference() const override { return true; }

 protected:
  PairTerms terms(const ExampleTable& table) const override {
    const at::Tensor beta = table.of_trial([](const WeighedTrial& trial) { return trial.beta; });
    const at::Tensor chosen = (table.reference(0) - table.answer_nll(0)) * beta;
    const at::Tensor rejected = (table.reference(1) - table.answer_nll(1)) * beta;
    const at::Tensor pull = at::sigmoid(rejected - chosen) * beta;
    return {.loss = -at::log_sigmoid(chosen - rejected),
            .by_chosen = pull,
            .by_rejected = -pull,
            .chosen_reward = chosen,
            .rejected_reward = rejected};
  }
};

}  // namespace

const Objective& dpo() {
  static const Dpo kDpo;
  return kDpo;
}

}  // namespace finetune
