#include "core/metric.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "core/error.h"
#include "core/text.h"

namespace finetune {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Each example's weight is what its value is a sum over: tokens, bytes, or 1.
double ratio(std::span<const ExampleFigure> examples) {
  double value = 0, weight = 0;
  for (const ExampleFigure& example : examples) {
    value += example.value;
    weight += example.weight;
  }
  return value / weight;
}

double exp_ratio(std::span<const ExampleFigure> examples) {
  return std::exp(ratio(examples));
}

double bits(std::span<const ExampleFigure> examples) {
  return ratio(examples) / std::log(2.0);
}

// value: the label that was predicted, weight: the right one. Mean over the labels that occur as either, as
// scikit-learn's f1_score(average="macro").
double macro_f1(std::span<const ExampleFigure> examples) {
  std::map<double, double> predicted, right, both;
  std::set<double> labels;
  for (const auto& [guess, truth] : examples) {
    predicted[guess] += 1;
    right[truth] += 1;
    if (guess == truth) both[guess] += 1;
    labels.insert({guess, truth});
  }
  double sum = 0;
  for (const double label : labels) sum += 2 * both[label] / (predicted[label] + right[label]);
  return sum / static_cast<double>(labels.size());
}

constexpr Metric kMetrics[] = {
    {"valid_loss", Direction::minimize, MetricSource::loss,
     "mean loss: of a token in nats, or what train.objective has instead", ratio},
    {"perplexity", Direction::minimize, MetricSource::loss, "exp of the loss", exp_ratio},
    {"bits_per_byte", Direction::minimize, MetricSource::loss, "loss in bits by the bytes of the text", bits},
    {"token_accuracy", Direction::maximize, MetricSource::loss, "share of the tokens that the model ranks first",
     ratio},
    {"preference_accuracy", Direction::maximize, MetricSource::preferences,
     "share of the pairs whose chosen answer has the higher reward; kto: of the answers that are on their label's side",
     ratio},
    {"reward_margin", Direction::maximize, MetricSource::preferences,
     "by how much chosen answers' rewards are above the rejected ones', on average", ratio},
    {"exact_match", Direction::maximize, MetricSource::text, "share of the answers that equal the row's own", ratio},
    {"regex_match", Direction::maximize, MetricSource::text,
     "share of the answers in which the row's regular expression is found", ratio},
    {"label_accuracy", Direction::maximize, MetricSource::labels, "share of the rows whose label is the likeliest",
     ratio},
    {"macro_f1", Direction::maximize, MetricSource::labels, "mean over labels of F1, the likeliest label predicted",
     macro_f1},
    {"multiple_choice", Direction::maximize, MetricSource::choices, "share of the rows whose answer is the likeliest",
     ratio},
    {"multiple_choice_norm", Direction::maximize, MetricSource::choices, "the same, likelihood by bytes of the choice",
     ratio},
    {"command", Direction::minimize, MetricSource::command, "the number that tune.command prints", nullptr},
};

}  // namespace

const char* to_text(Direction direction) {
  return direction == Direction::minimize ? "minimize" : "maximize";
}

std::span<const Metric> metrics() {
  return kMetrics;
}

bool takes_one_pass(const Metric& metric) {
  return metric.source == MetricSource::loss || metric.source == MetricSource::preferences;
}

bool generates(const Metric& metric) {
  return metric.source == MetricSource::text || metric.source == MetricSource::command;
}

std::optional<double> value_of(const Metric& metric, const EvalResult& result) {
  const std::string name = metric.name;
  if (metric.source != MetricSource::loss) {
    const auto found = result.task.find(name);
    return found == result.task.end() ? std::nullopt : std::optional(found->second);
  }
  if (name == "valid_loss") return result.loss;
  if (name == "perplexity") return std::exp(result.loss);
  if (!std::isfinite(result.loss)) return kNaN;  // a model that gives no numbers has an argmax all the same
  return name == "token_accuracy" ? result.token_accuracy : result.bits_per_byte;
}

std::vector<std::pair<std::string, double>> logged_values(std::span<const Metric> wanted, const EvalResult& result) {
  std::vector<std::pair<std::string, double>> values{{kMetrics[0].name, result.loss}};
  for (const auto& [name, value] : result.task) {
    if (name.starts_with(kPartLoss)) values.emplace_back(name, value);
  }
  for (const Metric& metric : wanted) {
    const auto value = value_of(metric, result);
    if (value && metric.name != values.front().first) values.emplace_back(metric.name, *value);
  }
  return values;
}

const Metric& metric_named(const std::string& name) {
  const auto found =
      std::find_if(std::begin(kMetrics), std::end(kMetrics), [&](const Metric& metric) { return name == metric.name; });
  if (found == std::end(kMetrics))
    throw bad_input("", "metric " + name + " is unknown" + did_you_mean(name, metric_names()) +
                            "; allowed: " + join(metric_names(), ", "));
  return *found;
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const Metric& metric : kMetrics) names.emplace_back(metric.name);
  return names;
}

}  // namespace finetune
