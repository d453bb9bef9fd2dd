// What is said of parameters: every trial at one and the same step, so that one stopped early is not compared with one
// that went on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/facts.h"

namespace finetune {

/// The trial's metric as it was at `step`; nothing where it was not evaluated there or is not finite.
std::optional<double> metric_at(const TrialFacts& trial, std::int64_t step);

/// Trials are compared at one and the same step: the highest at which at least half of the trials that were ever
/// evaluated, and no fewer than five, have a metric; 0 without one.
std::int64_t comparable_step(const std::vector<TrialFacts>& trials);

/// The parameters with which a trial did step `step`. Nothing where a report of an earlier version does not have what a
/// member of a population began with.
std::optional<Params> params_at(const TrialFacts& trial, std::int64_t step);

/// study.search; where a report of an earlier version has none, what its trials show of it.
std::vector<ParameterFacts> searched(const ReportFacts& study);

/// A trial as it is compared.
struct Compared {
  std::size_t trial = 0;  ///< index into study.trials
  double metric = 0;      ///< at study.compared_step
  Params params;          ///< that it had there
};
std::vector<Compared> compared_trials(const ReportFacts& study);

/// Fills in importance and interactions at study.compared_step. A parameter that a condition leaves out of some trials
/// is measured over those that have it.
void compare_parameters(ReportFacts& study);

}  // namespace finetune
