#include "host/train_rules.h"

#include <string>

#include "core/error.h"

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

nlohmann::json TrainRules::save() const {
  return {{"best", best_ ? nlohmann::json(*best_) : nlohmann::json()}, {"without_gain", without_gain_}};
}

void TrainRules::load(const nlohmann::json& state) {
  try {
    best_ = state.at("best").is_null() ? std::nullopt : std::optional(state.at("best").get<double>());
    without_gain_ = state.at("without_gain").get<std::int64_t>();
  } catch (const nlohmann::json::exception&) {
    throw bad_input("", "the state of train.patience is damaged");
  }
}

}  // namespace finetune
