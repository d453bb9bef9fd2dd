// What a finished (or interrupted) study amounts to: plain values that the reports are written from. Torch-free.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/trial.h"

namespace finetune {

struct CurvePoint {
  std::int64_t step = 0;
  double value = 0;
};

struct TrialSummary {
  std::int64_t id = 0;
  Params params;
  std::string state, reason;
  std::optional<double> metric;                 ///< best evaluation
  std::int64_t step = 0;                        ///< of the metric
  std::int64_t steps = 0;                       ///< steps trained
  std::vector<CurvePoint> train_loss, metrics;  ///< from metrics.jsonl: each step, and study.metric where evaluated
};

/// What the folder `best` of a run holds.
enum class BestWeights { none, adapter, model };

struct StudySummary {
  std::string model, train_data, valid_data, device, version;
  std::string sampler, scheduler, metric = "valid_loss";
  Direction direction = Direction::minimize;
  bool full = false;                 ///< full fine-tuning, not LoRA
  std::int64_t full_steps = 0;       ///< budget of one trial
  std::vector<TrialSummary> trials;  ///< by id
  std::optional<std::size_t> best;   ///< index into trials
  std::optional<double> base_metric;
  std::optional<double> default_metric;
  std::string default_failure;  ///< "" unless the default configuration failed
  Params default_params;        ///< the searched keys at their defaults
  double seconds = 0;
  std::int64_t steps = 0, tokens = 0, saved_steps = 0;
  bool interrupted = false;
  std::string stopped_by;  ///< "" or the budget that ended it
  /// compare_parameters: share of the metric's variance at compared_step, largest first. Empty where too few trials can
  /// be compared.
  std::vector<std::pair<std::string, double>> importance;
  std::int64_t compared_step = 0;
  /// What there is on disk, so that nothing is named which is not there: find_results (study/run_folder.h).
  std::string folder;
  BestWeights best_weights = BestWeights::none;
  bool has_best_yaml = false;
  bool can_resume = false;  ///< there is a save to go on from
};

/// True when there were trials and none did anything but fail.
bool all_failed(const StudySummary& study);

/// The trial's metric as it was at `step`; nothing where it was not evaluated there or is not finite.
std::optional<double> metric_at(const TrialSummary& trial, std::int64_t step);

/// Trials are compared at one and the same step: the highest at which at least half of the trials that were ever
/// evaluated, and no fewer than five, have a metric; 0 without one.
std::int64_t comparable_step(const std::vector<TrialSummary>& trials);

/// Fills in compared_step and importance from the curves: the share of the metric's variance that each searched
/// parameter explains on its own, that is between-group variance over groups of equal choices (or thirds of the range)
/// over total variance. Rough with few trials.
void compare_parameters(StudySummary& study);

nlohmann::ordered_json report_json(const StudySummary& study);
/// Inverse of report_json, without curves. Throws Error (bad_input) naming `where`.
StudySummary summary_from_json(const std::string& where, const nlohmann::ordered_json& json);

std::string report_markdown(const StudySummary& study);
/// One self-contained page: tables, learning curves as SVG, light and dark.
std::string report_html(const StudySummary& study);
/// A few lines for the terminal: what is best, where it is, what to do next.
std::string report_text(const StudySummary& study);

/// Commands that make sense now, each with what it does. Only files that exist are named.
struct NextStep {
  std::string command, what;
};
std::vector<NextStep> next_steps(const StudySummary& study);

/// What is to be said in words: on the winner, by how much it beats base and default, or that it does not; and on
/// trials that failed (report/failures.h).
std::string verdict(const StudySummary& study);

}  // namespace finetune
