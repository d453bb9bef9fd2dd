// What is measured on validation data, as a table of values: tune.metric, reports, curves and metrics.jsonl take names
// and directions from it. A new metric is a row in metric.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/trial.h"

namespace finetune {

/// Validation of one trial, over all loss tokens of the validation set.
struct EvalResult {
  TrialId trial;
  double loss = 0;            ///< mean NLL in nats
  double token_accuracy = 0;  ///< share of loss tokens whose argmax is right
  std::string failure;        ///< not "": why this trial cannot be evaluated; the figures are not numbers then
};

/// "minimize" or "maximize".
const char* to_text(Direction direction);

struct Metric {
  const char* name;  ///< as tune.metric, reports and metrics.jsonl have it
  Direction direction;
  const char* help;
  double (*of)(const EvalResult&);  ///< not finite where the loss is not
};

/// The first one is the default, and is logged whatever else is tuned.
std::span<const Metric> metrics();

/// Throws Error (bad_input) that lists the names.
const Metric& metric_named(const std::string& name);

std::vector<std::string> metric_names();

}  // namespace finetune
