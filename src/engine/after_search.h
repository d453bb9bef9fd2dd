// What is trained and measured once a search is over, so that its winner can be believed: the best configurations again
// with other seeds, some of the stopped trials to their end, the path from the default configuration to the best, and
// data that no choice has seen. Nothing of it is shown to the tuner. Plain values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "core/metric.h"
#include "core/trial.h"
#include "engine/study_state.h"

namespace finetune {

struct AfterSearch {
  std::optional<ConfirmConfig> confirm;  ///< tune.confirm
  bool confirm_is_auto = false;          ///< only where it costs at most a quarter of the steps that were used
  double audit = 0;                      ///< tune.audit
  bool ablation = false;                 ///< tune.ablation
  bool has_test = false;                 ///< data.test is there
  std::size_t judged = 0;  ///< so many of the best are measured by example at the end, and the default configuration
  Params defaults;         ///< the searched parameters as they are by themselves
  /// Of how many of the best the weights are needed at the end, and then those of the default configuration too.
  std::size_t kept_images() const {
    return std::max({judged, std::size_t{has_test ? 1u : 0u}, confirm ? static_cast<std::size_t>(confirm->top) : 0});
  }
};

/// A configuration trained again. `metrics`: of the seeds that did not fail.
struct Confirmed {
  TrialId trial;
  std::vector<double> metrics;
  double mean = 0;
  std::optional<double> standard_error;  ///< of the mean; nothing for one seed
};

struct AblationStep {
  std::string parameter;  ///< "" of the first, the default configuration
  Value value;
  std::optional<double> metric;
};

struct JudgedRun {
  TrialId trial;  ///< kDefaultRun: the default configuration
  std::vector<ExampleFigure> examples;
};

struct TestMetrics {
  std::optional<double> best, default_run, base;
};

struct AfterResult {
  std::optional<std::int64_t> confirm_steps;  ///< what confirming costs or would cost
  std::size_t confirm_count = 0;              ///< of how many configurations
  bool confirms = false;                      ///< it was done
  std::vector<Confirmed> confirmed;           ///< the best mean first
  std::optional<std::int64_t> audited, would_have_won;
  std::vector<AblationStep> ablation;
  std::vector<JudgedRun> judged;  ///< the winner first, then the next best, then the default configuration
  std::optional<TestMetrics> test;
  std::string look_failure;  ///< why the best were not measured at the end, on validation or test data; "": they were
};

/// Whether a stopped trial runs on: so large a share of all ids, the same in every run.
bool is_audited(TrialId trial, double share);

/// Trials with a metric, the best first: those that came to their end before the others, of equals the lower id.
std::vector<std::size_t> ranking(const std::deque<Trial>& trials, Direction direction);

/// The runs after the search, to be started in this order, but for the path to the winner. Their trials have
/// parameters and no more.
std::deque<ExtraRun> plan_extras(const AfterSearch& options, const StudyState& state, Direction direction);

/// The path from the default configuration to `winner`, once it is known who that is. The last step is the winner
/// itself, which was trained.
std::deque<ExtraRun> plan_ablation(const AfterSearch& options, const Trial& winner);

/// Whether the path may be planned: it is asked for, is not there yet, and no confirmation is still to come.
bool wants_ablation(const AfterSearch& options, const StudyState& state);

/// What the run is, for people.
std::string label_of(const ExtraRun& run, std::int64_t seed);

/// What confirming costs in steps; nothing where it is not asked for or nobody can be confirmed.
std::optional<std::int64_t> confirm_cost(const AfterSearch& options, const StudyState& state, Direction direction);
/// How many would be.
std::size_t confirm_count(const AfterSearch& options, const StudyState& state, Direction direction);
/// Whether it is done.
bool confirms(const AfterSearch& options, const StudyState& state, Direction direction);

/// From what the runs came to. `best`: index of the winner of the search.
std::vector<Confirmed> confirmed_of(const StudyState& state, Direction direction);
void add_audit(const StudyState& state, std::size_t best, Direction direction, AfterResult& result);
std::vector<AblationStep> ablation_of(const AfterSearch& options, const StudyState& state, std::size_t best);

}  // namespace finetune
