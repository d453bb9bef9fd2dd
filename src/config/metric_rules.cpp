#include "config/metric_rules.h"

#include <algorithm>
#include <array>

#include "config/fields.h"
#include "core/error.h"
#include "core/text.h"

namespace finetune {
namespace {

void check_direction(const RunConfig& config) {
  const Metric& metric = metric_named(config.tune.metric);
  if (metric.source == MetricSource::command) {
    if (!config.is_given("tune.direction"))
      throw bad_input("", "tune.metric: command needs tune.direction: minimize or maximize");
    return;
  }
  if (config.tune.direction == metric.direction) return;
  throw bad_input("", std::string("tune.direction is ") + to_text(config.tune.direction) + ", but " + metric.name +
                          " is better the " + (metric.direction == Direction::minimize ? "lower" : "higher") +
                          " it is; leave tune.direction out");
}

// Names of the metrics that read a key, for messages.
using Readers = bool (*)(const Metric&);

bool compares_texts(const Metric& metric) {
  return metric.source == MetricSource::text;
}
bool runs_command(const Metric& metric) {
  return metric.source == MetricSource::command;
}
bool reads_labels(const Metric& metric) {
  return metric.source == MetricSource::labels || metric.source == MetricSource::choices;
}

struct KeyReaders {
  const char* key;
  Readers reads;
};

constexpr std::array kKeys = {KeyReaders{"data.answer", compares_texts},
                              KeyReaders{"data.labels", reads_labels},
                              KeyReaders{"tune.command", runs_command},
                              KeyReaders{"tune.command_timeout", runs_command},
                              KeyReaders{"tune.generate.max_new_tokens", generates},
                              KeyReaders{"tune.generate.examples", generates},
                              KeyReaders{"tune.generate.stop", generates}};

void check_keys(const RunConfig& config, const std::vector<Metric>& wanted) {
  for (const KeyReaders& row : kKeys) {
    if (is_default(config, row.key) || std::ranges::any_of(wanted, row.reads)) continue;
    std::vector<std::string> names;
    for (const Metric& metric : metrics()) {
      if (row.reads(metric)) names.emplace_back(metric.name);
    }
    throw bad_input("", std::string(row.key) + " is read by " + join(names, ", ") +
                            ", of which none is tune.metric or in run.metrics");
  }
}

// Of values at different steps, or of a value with a number of the user's.
void check_scheduler(const RunConfig& config) {
  if (!config.tune.scheduler || config.tune.metric == rung_metric(config).name) return;
  for (const char* compares : {"threshold", "pb2"}) {
    if (config.tune.scheduler->name == compares)
      throw bad_input("", std::string("tune.scheduler: ") + compares +
                              " needs values of tune.metric at every step, and " + rung_metric(config).name +
                              " is compared before the end; set tune.rung_metric: same");
  }
}

}  // namespace

std::vector<Metric> wanted_metrics(const RunConfig& config) {
  std::vector<Metric> wanted{metric_named(config.tune.metric)};
  wanted.front().direction = config.tune.direction;
  for (const std::string& name : config.run.metrics) {
    const auto is_it = [&](const Metric& metric) { return name == metric.name; };
    if (std::ranges::none_of(wanted, is_it)) wanted.push_back(metric_named(name));
  }
  return wanted;
}

bool measures(const RunConfig& config, MetricSource source) {
  return std::ranges::any_of(wanted_metrics(config), [&](const Metric& metric) { return metric.source == source; });
}

Metric rung_metric(const RunConfig& config) {
  const Metric metric = wanted_metrics(config).front();
  const bool loss = config.tune.rung_metric ? *config.tune.rung_metric == "valid_loss" : generates(metric);
  return loss ? metric_named("valid_loss") : metric;
}

bool tasks_at_rungs(const RunConfig& config) {
  if (config.tune.rung_metric) return *config.tune.rung_metric == "same";
  return rung_metric(config).source != MetricSource::loss;
}

void check_metrics(const RunConfig& config) {
  check_direction(config);
  check_scheduler(config);
  const std::vector<Metric> wanted = wanted_metrics(config);
  if (std::ranges::any_of(wanted, runs_command) && config.tune.command.empty())
    throw bad_input("", "the metric command needs tune.command: [program, arguments]");
  check_keys(config, wanted);
}

}  // namespace finetune
