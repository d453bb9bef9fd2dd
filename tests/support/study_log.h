#pragma once

#include <map>
#include <span>
#include <vector>

#include "engine/study.h"

namespace finetune::testing {

/// Every number that a study logs, in the order of trials.
class StudyLog : public StudyObserver {
 public:
  void on_steps(std::span<const StepResult> results, std::span<const Trial* const>) override {
    for (const auto& r : results)
      lines[r.trial].insert(lines[r.trial].end(), {r.train_loss, r.gradient_norm, r.learning_rate});
  }
  void on_evaluation(const Trial& trial, const EvalResult& result, const MetricValues&) override {
    lines[trial.id].insert(lines[trial.id].end(), {result.loss, result.token_accuracy});
  }
  std::map<TrialId, std::vector<double>> lines;
};

}  // namespace finetune::testing
