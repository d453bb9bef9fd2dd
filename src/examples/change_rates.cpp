// A host that changes learning rates while trials train: whenever a trial's training loss rose three steps in a row,
// its rate is halved from the next step on. Weights, moments and data position stay.
//
//   example_change_rates MODEL TRAIN VALID OUT
#include <map>

#include "examples/host.h"

namespace {

constexpr const char* kRate = "train.learning_rate";

// An observer learns each trial's first rate; the callback changes it.
class HalveOnRise : public finetune::StudyObserver {
 public:
  void on_start(const finetune::Trial& trial) override { states_[trial.id].rate = trial.config.learning_rate; }

  void decide(std::span<const finetune::Report> reports, std::vector<finetune::Action>& actions) {
    for (const auto& report : reports) {
      State& state = states_[report.trial];
      state.rises = *report.train_loss > state.loss ? state.rises + 1 : 0;
      state.loss = *report.train_loss;
      if (state.rises < 3) continue;
      state.rises = 0;
      state.rate /= 2;
      actions.push_back({.trial = report.trial, .what = finetune::Action::Do::change, .params = {{kRate, state.rate}}});
    }
  }

 private:
  struct State {
    double rate = 0, loss = 1e30;
    int rises = 0;
  };
  std::map<finetune::TrialId, State> states_;
};

}  // namespace

int main(int count, char** words) {
  HalveOnRise rule;
  const auto on_step = [&rule](auto reports, auto& actions) { rule.decide(reports, actions); };
  return finetune::host_main(count, words, {}, {.on_step = on_step, .observers = {&rule}});
}
