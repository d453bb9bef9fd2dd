// What is said of parameters: every trial at one and the same step, so that one stopped early is not compared with one
// that went on.
#include <algorithm>
#include <cmath>
#include <map>

#include "report/summary.h"

namespace finetune {
namespace {

constexpr std::size_t kFewest = 5;

struct Measured {
  const TrialSummary* trial;
  double metric;
};

// Groups of values: equal choices, or thirds of the range for numbers with many values.
std::map<std::string, std::vector<double>> grouped(const std::vector<Measured>& trials, const std::string& name) {
  std::vector<double> numbers;
  std::map<std::string, std::vector<double>> by_value;
  for (const auto& [trial, metric] : trials) {
    const Value* value = find_param(trial->params, name);
    if (value == nullptr) continue;
    by_value[to_text(*value)].push_back(metric);
    if (!std::holds_alternative<std::string>(*value)) numbers.push_back(as_number(*value));
  }
  if (by_value.size() <= 4 || numbers.empty()) return by_value;
  std::sort(numbers.begin(), numbers.end());
  std::map<std::string, std::vector<double>> thirds;
  for (const auto& [trial, metric] : trials) {
    const Value* value = find_param(trial->params, name);
    if (value == nullptr) continue;
    const auto rank = std::lower_bound(numbers.begin(), numbers.end(), as_number(*value)) - numbers.begin();
    thirds[std::to_string(3 * static_cast<std::size_t>(rank) / numbers.size())].push_back(metric);
  }
  return thirds;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double share_of(const std::string& name, const std::vector<Measured>& trials) {
  std::vector<double> all;
  for (const auto& measured : trials) all.push_back(measured.metric);
  const double mean = mean_of(all);
  double total = 0, between = 0;
  for (const double value : all) total += (value - mean) * (value - mean);
  for (const auto& [group, values] : grouped(trials, name)) {
    const double difference = mean_of(values) - mean;
    between += static_cast<double>(values.size()) * difference * difference;
  }
  return total > 0 ? between / total : 0;
}

}  // namespace

std::optional<double> metric_at(const TrialSummary& trial, std::int64_t step) {
  for (const CurvePoint& point : trial.metrics) {
    if (point.step == step && std::isfinite(point.value)) return point.value;
  }
  return std::nullopt;
}

std::int64_t comparable_step(const std::vector<TrialSummary>& trials) {
  std::map<std::int64_t, std::size_t> counts;
  std::size_t evaluated = 0;
  for (const TrialSummary& trial : trials) {
    bool any = false;
    for (const CurvePoint& point : trial.metrics) {
      if (!std::isfinite(point.value)) continue;
      ++counts[point.step];
      any = true;
    }
    evaluated += any ? 1 : 0;
  }
  const std::size_t enough = std::max(kFewest, (evaluated + 1) / 2);
  std::int64_t highest = 0;
  for (const auto& [step, count] : counts) {
    if (count >= enough) highest = step;  // steps ascend
  }
  return highest;
}

void compare_parameters(StudySummary& study) {
  study.compared_step = comparable_step(study.trials);
  study.importance.clear();
  if (study.compared_step == 0) return;
  std::vector<Measured> measured;
  for (const TrialSummary& trial : study.trials) {
    if (const auto metric = metric_at(trial, study.compared_step)) measured.push_back({&trial, *metric});
  }
  for (const auto& [name, value] : measured.front().trial->params)
    study.importance.emplace_back(name, share_of(name, measured));
  std::stable_sort(study.importance.begin(), study.importance.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
}

}  // namespace finetune
