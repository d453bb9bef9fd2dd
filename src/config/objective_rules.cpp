#include "config/objective_rules.h"

#include <algorithm>

#include "config/fields.h"
#include "config/metric_rules.h"
#include "core/error.h"
#include "core/text.h"

namespace finetune {
namespace {

bool is_searched(const RunConfig& config, const std::string& key) {
  return std::ranges::any_of(config.search, [&](const SearchParameter& one) { return one.name == key; });
}

Error has_no_meaning(const std::string& key, const RunConfig& config, const std::string& why) {
  return bad_input("", key + " has no meaning with train.objective: " + to_text(config.train.objective) + "; " + why);
}

void check_key(const RunConfig& config, const std::string& key, bool read, const std::string& readers) {
  if (read || (is_default(config, key) && !is_searched(config, key))) return;
  throw has_no_meaning(key, config, "it is read by " + readers);
}

// The smallest batch of any trial.
double smallest_batch(const RunConfig& config) {
  for (const SearchParameter& one : config.search) {
    if (one.name != "train.batch_size") continue;
    if (one.choices.empty()) return one.low;
    double least = as_number(one.choices.front());
    for (const Value& choice : one.choices) least = std::min(least, as_number(choice));
    return least;
  }
  return static_cast<double>(config.train.batch_size);
}

void check_data(const RunConfig& config) {
  const std::string columns = "rows of preferences are named by columns: data.fields={prompt: COLUMN, chosen: COLUMN}";
  for (const char* key : {"data.prompt", "data.completion"}) {
    if (!is_default(config, key)) throw has_no_meaning(key, config, columns);
  }
  for (const DataSource& source : config.data.valid) {
    if (!source.name.empty())
      throw has_no_meaning("data.valid: name", config, "the loss of a part is measured with sft alone");
  }
  if (config.data.train_on != "completion")
    throw has_no_meaning("data.train_on: " + config.data.train_on, config, "answers are what is compared");
}

void check_metrics_of(const RunConfig& config) {
  const bool sft = config.train.objective == ObjectiveName::sft;
  for (const Metric& metric : wanted_metrics(config)) {
    const bool fits = sft ? metric.source != MetricSource::preferences
                          : metric.source == MetricSource::preferences || std::string(metric.name) == "valid_loss";
    if (fits) continue;
    const std::string name = std::string("the metric ") + metric.name;
    throw has_no_meaning(name, config,
                         sft ? "it is of dpo, orpo, kto and simpo"
                             : "what it measures is valid_loss, preference_accuracy or reward_margin");
  }
}

}  // namespace

void check_objective(const RunConfig& config) {
  const ObjectiveName objective = config.train.objective;
  const bool sft = objective == ObjectiveName::sft;
  check_key(config, "train.beta", !sft, "dpo, orpo, kto and simpo");
  check_key(config, "train.gamma", objective == ObjectiveName::simpo, "simpo");
  check_metrics_of(config);
  if (sft) return;
  check_data(config);
  if (objective == ObjectiveName::kto && smallest_batch(config) < 2)
    throw bad_input("", "train.batch_size is 1, but kto compares the answers of a batch; it must be at least 2");
}

}  // namespace finetune
