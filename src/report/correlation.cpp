#include "report/correlation.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace finetune {
namespace {

constexpr std::size_t kFewestTrials = 5, kMostSteps = 8;

std::vector<double> ranks_of(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t from = 0, to = 0; from < order.size(); from = to) {
    while (to < order.size() && values[order[to]] == values[order[from]]) ++to;
    for (std::size_t i = from; i < to; ++i) ranks[order[i]] = static_cast<double>(from + to - 1) / 2;
  }
  return ranks;
}

using Column = std::map<std::size_t, double>;  // metric by index of the trial

std::map<std::int64_t, Column> columns_of(const std::vector<TrialFacts>& trials) {
  std::map<std::int64_t, Column> columns;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    for (const CurvePoint& point : trials[i].metrics) {
      if (std::isfinite(point.value)) columns[point.step][i] = point.value;
    }
  }
  std::erase_if(columns, [](const auto& column) { return column.second.size() < kFewestTrials; });
  return columns;
}

std::vector<std::int64_t> spread_steps(const std::map<std::int64_t, Column>& columns) {
  std::vector<std::int64_t> all, some;
  for (const auto& [step, column] : columns) all.push_back(step);
  if (all.size() <= kMostSteps) return all;
  for (std::size_t k = 0; k < kMostSteps; ++k) some.push_back(all[k * (all.size() - 1) / (kMostSteps - 1)]);
  return some;
}

}  // namespace

double spearman(const std::vector<double>& a, const std::vector<double>& b) {
  const std::vector<double> x = ranks_of(a), y = ranks_of(b);
  const double middle = (static_cast<double>(a.size()) - 1) / 2;
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - middle) * (x[i] - middle);
    yy += (y[i] - middle) * (y[i] - middle);
    xy += (x[i] - middle) * (y[i] - middle);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

std::vector<CorrelationFact> budget_correlations(const std::vector<TrialFacts>& trials) {
  const std::map<std::int64_t, Column> columns = columns_of(trials);
  const std::vector<std::int64_t> steps = spread_steps(columns);
  std::vector<CorrelationFact> correlations;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (std::size_t j = i + 1; j < steps.size(); ++j) {
      std::vector<double> early, late;
      const Column& later = columns.at(steps[j]);
      for (const auto& [trial, value] : columns.at(steps[i])) {
        const auto found = later.find(trial);
        if (found == later.end()) continue;
        early.push_back(value);
        late.push_back(found->second);
      }
      if (early.size() >= kFewestTrials)
        correlations.push_back({steps[i], steps[j], early.size(), spearman(early, late)});
    }
  }
  return correlations;
}

std::optional<CorrelationFact> agreement_at_rungs(const ReportFacts& study) {
  const double compared_sign = to_minimized(1, metric_named(study.rung_metric).direction);
  const double metric_sign = to_minimized(1, study.direction);
  std::map<std::int64_t, std::pair<std::vector<double>, std::vector<double>>> by_step;
  for (const TrialFacts& trial : study.trials) {
    if (trial.metrics.empty() || !std::isfinite(trial.metrics.back().value)) continue;
    for (const CurvePoint& point : trial.compared) {
      if (!std::isfinite(point.value)) continue;
      by_step[point.step].first.push_back(compared_sign * point.value);
      by_step[point.step].second.push_back(metric_sign * trial.metrics.back().value);
    }
  }
  std::erase_if(by_step, [](const auto& entry) { return entry.second.first.size() < kFewestTrials; });
  const std::int64_t end = study.full_steps;
  if (by_step.size() > 1) by_step.erase(end);
  if (by_step.empty()) return std::nullopt;
  const auto& [step, values] = *by_step.rbegin();
  const auto varies = [](const std::vector<double>& of) { return std::ranges::min(of) < std::ranges::max(of); };
  if (!varies(values.first) || !varies(values.second)) return std::nullopt;  // there is no order to agree on
  return CorrelationFact{step, end, values.first.size(), spearman(values.first, values.second)};
}

}  // namespace finetune
