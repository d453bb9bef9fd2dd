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
  std::optional<double> metric;                    ///< best evaluation
  std::int64_t step = 0;                           ///< of the metric
  std::int64_t steps = 0;                          ///< steps trained
  std::vector<CurvePoint> train_loss, valid_loss;  ///< from metrics.jsonl
};

struct StudySummary {
  std::string model, train_data, valid_data, device, version;
  std::string sampler, scheduler, metric = "valid_loss";
  Direction direction = Direction::minimize;
  std::int64_t full_steps = 0;       ///< budget of one trial
  std::vector<TrialSummary> trials;  ///< by id
  std::optional<std::size_t> best;   ///< index into trials
  std::optional<double> base_metric;
  std::optional<double> default_metric;
  Params default_params;  ///< the searched keys at their defaults
  double seconds = 0;
  std::int64_t steps = 0, tokens = 0, saved_steps = 0;
  bool interrupted = false;
  std::string stopped_by;                                  ///< "" or the budget that ended it
  std::vector<std::pair<std::string, double>> importance;  ///< share of the metric's variance, largest first
};

/// Share of the variance of the metric that each searched parameter explains on its own: between-group variance over
/// groups of equal choices (or thirds of the range) over total variance, among trials with a metric. Rough with few
/// trials; empty below five.
std::vector<std::pair<std::string, double>> importance_of(const std::vector<TrialSummary>& trials);

nlohmann::ordered_json report_json(const StudySummary& study);
/// Inverse of report_json, without curves. Throws Error (bad_input) naming `where`.
StudySummary summary_from_json(const std::string& where, const nlohmann::ordered_json& json);

std::string report_markdown(const StudySummary& study);
/// One self-contained page: tables, learning curves as SVG, light and dark.
std::string report_html(const StudySummary& study);
/// A few lines for the terminal.
std::string report_text(const StudySummary& study, const std::string& folder);

/// One honest sentence on the winner: by how much it beats base and default, or that it does not.
std::string verdict(const StudySummary& study);

}  // namespace finetune
