// What is measured when: rungs may compare another metric than the one that is tuned.
#include <gtest/gtest.h>

#include "support/fake_lane.h"

namespace finetune::testing {
namespace {

// FakeLane's exact_match grows where its loss falls, and is measured only where it is asked for.
StudyOptions matching_options(std::int64_t steps, bool rungs_too) {
  StudyOptions options = options_for(steps);
  options.metric = metric_named("exact_match");
  options.rung_metric = metric_named(rungs_too ? "exact_match" : "valid_loss");
  options.tasks_at_rungs = rungs_too;
  return options;
}

class Values : public StudyObserver {
 public:
  void on_evaluation(const Trial& trial, const EvalResult&, const MetricValues& values) override {
    if (trial.id != kDefaultRun) seen[trial.id.value].push_back(values);
  }
  std::map<std::int64_t, std::vector<MetricValues>> seen;
};

std::unique_ptr<Tuner> matching_tuner(std::int64_t steps) {
  const SearchSpace space{{{.name = "learning_rate", .choices = {0.02, 0.05, 0.01, 0.03}}}};
  TunerOptions options{.trials = 4, .max_steps = steps, .direction = Direction::maximize, .default_min_steps = 1};
  return std::make_unique<Tuner>(options, make_sampler("grid", {{}, space, 0}),
                                 make_scheduler("asha", {{{"reduction_factor", 2.0}}, space, options}));
}

TEST(Study, RungsMayCompareTheLossWhereTheMetricIsCostly) {
  FakeLane lane(5);
  Values values;
  const auto tuner = matching_tuner(8);
  const StudyResult result = Study(matching_options(8, false), *tuner, {&lane}, {&values}).run();
  std::int64_t completed = 0;
  for (const Trial& trial : result.trials) {
    const bool whole = trial.state == TrialState::completed;
    completed += whole ? 1 : 0;
    EXPECT_EQ(trial.best_metric.has_value(), whole) << "only the end has the metric";
    for (const MetricValues& value : values.seen[trial.id.value]) EXPECT_TRUE(value.compared);
  }
  EXPECT_EQ(result.trials[1].state, TrialState::completed) << "its loss falls fastest: rungs go the loss's own way";
  EXPECT_EQ(result.best, 1u);
  EXPECT_EQ(lane.task_evaluations, completed + 2) << "ends, the default run's, and the base";
}

TEST(Study, RungsMayCompareTheMetricItself) {
  FakeLane lane(5);
  Values values;
  const auto tuner = matching_tuner(8);
  Study(matching_options(8, true), *tuner, {&lane}, {&values}).run();
  for (const auto& [id, seen] : values.seen) {
    for (const MetricValues& value : seen) EXPECT_EQ(value.metric, value.compared);
  }
}

TEST(Study, ABudgetThatEndsBeforeAnyTrialLeavesAMeasuredOne) {
  FakeLane lane(5);
  const SearchSpace space{{{.name = "learning_rate", .choices = {0.02, 0.05}}}};
  TunerOptions options{.trials = 2, .max_steps = 8, .budget_steps = 6, .direction = Direction::maximize};
  Tuner tuner(options, make_sampler("grid", {{}, space, 0}), make_scheduler("none", {{}, space, options}));
  const StudyResult result = Study(matching_options(8, false), tuner, {&lane}, {}).run();
  ASSERT_TRUE(result.best) << "otherwise there would be nothing to choose from";
  EXPECT_EQ(*result.best, 1u);
}

}  // namespace
}  // namespace finetune::testing
