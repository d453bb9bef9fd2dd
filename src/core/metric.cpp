#include "core/metric.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/text.h"

namespace finetune {
namespace {

double loss_of(const EvalResult& result) {
  return result.loss;
}

double perplexity_of(const EvalResult& result) {
  return std::exp(result.loss);
}

// A model that gives no numbers has an argmax all the same.
double token_accuracy_of(const EvalResult& result) {
  return std::isfinite(result.loss) ? result.token_accuracy : std::numeric_limits<double>::quiet_NaN();
}

constexpr Metric kMetrics[] = {
    {"valid_loss", Direction::minimize, "mean loss of a token, in nats", loss_of},
    {"perplexity", Direction::minimize, "exp of the loss", perplexity_of},
    {"token_accuracy", Direction::maximize, "share of the tokens that the model ranks first", token_accuracy_of},
};

}  // namespace

const char* to_text(Direction direction) {
  return direction == Direction::minimize ? "minimize" : "maximize";
}

std::span<const Metric> metrics() {
  return kMetrics;
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
