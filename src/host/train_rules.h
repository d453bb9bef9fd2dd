// The rules of a run without a tuner: a schedule that a population found (train.changes), and train.patience. Both are
// told to the study as a host program's own rule.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <vector>

#include "config/run_config.h"
#include "core/trial.h"

namespace finetune {

class TrainRules {
 public:
  /// `config` must outlive it.
  explicit TrainRules(const RunConfig& config) : config_(config) {}
  /// Reports of the one trial of a round; actions are added.
  void operator()(std::span<const Report> reports, std::vector<Action>& actions);
  /// What train.patience has seen, for a save and back.
  nlohmann::json save() const;
  void load(const nlohmann::json& state);

 private:
  const RunConfig& config_;
  std::optional<double> best_;
  std::int64_t without_gain_ = 0;
};

}  // namespace finetune
