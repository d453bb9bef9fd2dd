#include "host/train_rules.h"

#include <string>

namespace finetune {

void TrainRules::operator()(std::span<const Report> reports, std::vector<Action>& actions) {
  const Report& report = reports.front();
  for (const auto& change : config_.train.changes) {
    if (change.step == report.step)
      actions.push_back({.trial = report.trial, .what = Action::Do::change, .params = change.params});
  }
  if (config_.train.patience == 0 || !report.metric) return;
  const double value = to_minimized(*report.metric, config_.tune.direction);
  if (!best_ || value < *best_) {
    best_ = value;
    without_gain_ = 0;
  } else if (++without_gain_ >= config_.train.patience) {
    actions = {{.trial = report.trial,
                .what = Action::Do::stop,
                .reason = "no improvement in " + std::to_string(without_gain_) + " evaluations"}};
  }
}

}  // namespace finetune
