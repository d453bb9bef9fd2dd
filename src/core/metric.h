// What is measured on validation data, as a table of values: tune.metric, reports, curves and metrics.jsonl take names
// and directions from it. A new metric is a row in metric.cpp; what needs more than losses of tokens is computed by an
// evaluator (engine/evaluators/).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/trial.h"

namespace finetune {

/// One validation example's part of a metric: Metric::over says what both numbers mean.
struct ExampleFigure {
  double value = 0, weight = 1;
};

/// Validation of one trial.
struct EvalResult {
  TrialId trial;
  double loss =
      0;  ///< the objective's: mean NLL in nats over all loss tokens of the validation set, or a mean over examples
  double token_accuracy = 0;  ///< share of loss tokens whose argmax is right
  double bits_per_byte = 0;   ///< NLL in bits over the bytes of the text that the loss tokens write
  /// By name: metrics that an evaluator gave, not a number where it could not; and the loss of each named part of the
  /// validation data (kPartLoss).
  std::map<std::string, double> task = {};
  std::vector<ExampleFigure> examples = {};  ///< of tune.metric, where they were asked for; else empty
  std::string failure = {};  ///< not "": why this trial cannot be evaluated; the figures are not numbers then
};

/// "minimize" or "maximize".
const char* to_text(Direction direction);

/// What a metric is computed from.
enum class MetricSource {
  loss,         ///< one pass over the validation examples
  preferences,  ///< the same pass, under an objective of preferences
  labels,       ///< log-likelihoods of data.labels behind each prompt
  choices,      ///< log-likelihoods of the row's own choices
  text,         ///< what the model writes behind each prompt, against the row's answer
  command,      ///< the same, judged by tune.command
};

struct Metric {
  const char* name;     ///< as tune.metric, reports and metrics.jsonl have it
  Direction direction;  ///< of `command`: whatever tune.direction says
  MetricSource source;
  const char* help;
  /// From the examples' figures; none are asked about. Null where a metric is not made of examples (command).
  double (*over)(std::span<const ExampleFigure>);
};

/// The first one is the default, and is logged whatever else is tuned.
std::span<const Metric> metrics();

/// Whether the pass that gives the loss gives it too.
bool takes_one_pass(const Metric& metric);

/// Whether the model writes texts for it.
bool generates(const Metric& metric);

/// The metric's value in a result; nothing where the evaluation was without it. Not finite where the loss is not.
std::optional<double> value_of(const Metric& metric, const EvalResult& result);

/// Before the name of a part of the validation data: its loss.
constexpr const char* kPartLoss = "valid_loss.";

/// What is logged of an evaluation, by name: the loss, then those of parts, then what was measured of `wanted`.
std::vector<std::pair<std::string, double>> logged_values(std::span<const Metric> wanted, const EvalResult& result);

/// Throws Error (bad_input) that lists the names.
const Metric& metric_named(const std::string& name);

std::vector<std::string> metric_names();

}  // namespace finetune
