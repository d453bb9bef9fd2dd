#include "tuners/samplers/priorband/mixture.h"

#include <algorithm>
#include <cmath>

#include "tuners/samplers/observations.h"
#include "tuners/samplers/priorband/centred.h"

namespace finetune {
namespace {

struct Extent {
  std::int64_t first = 0, last = 0;  // the lowest step with a value, and a full trial's
  double spent = 0;                  // steps of all trials together
};

Extent extent_of(std::span<const TrialRecord> trials) {
  Extent extent;
  for (const TrialRecord& trial : trials) {
    extent.spent += static_cast<double>(trial.step);
    if (trial.values.empty()) continue;
    const std::int64_t step = trial.values.front().first;
    extent.first = extent.first == 0 ? step : std::min(extent.first, step);
    if (trial.state == TrialState::completed) extent.last = std::max(extent.last, trial.values.back().first);
  }
  return extent;
}

const TrialRecord* best_at_the_highest_step(std::span<const TrialRecord> trials) {
  const TrialRecord* best = nullptr;
  const auto is_better = [&](const TrialRecord& trial) {
    const auto [step, value] = trial.values.back();
    const auto [best_step, best_value] = best->values.back();
    return step > best_step || (step == best_step && value < best_value);
  };
  for (const TrialRecord& trial : trials) {
    if (trial.state == TrialState::failed || trial.values.empty()) continue;
    if (best == nullptr || is_better(trial)) best = &trial;
  }
  return best;
}

}  // namespace

double uniform_share(std::int64_t rung, std::int64_t eta) {
  return 1 / (1 + std::pow(static_cast<double>(eta), static_cast<double>(rung)));
}

double log_rank_score(std::span<const double> log_densities) {
  if (log_densities.empty()) return -HUGE_VAL;
  const double largest = *std::max_element(log_densities.begin(), log_densities.end());
  double sum = 0, weight = static_cast<double>(log_densities.size());
  for (const double density : log_densities) sum += weight-- * std::exp(density - largest);
  return largest + std::log(sum);
}

Shares divide(double uniform, double log_prior_score, double log_incumbent_score) {
  const double prior = 1 / (1 + std::exp(log_incumbent_score - log_prior_score));
  return {uniform, (1 - uniform) * prior, (1 - uniform) * (1 - prior)};
}

double bracket_steps(std::int64_t first, std::int64_t last, std::int64_t eta) {
  double steps = 0, trials = 1;
  std::int64_t level = last;
  for (std::int64_t below = level / eta; below >= std::max<std::int64_t>(1, first); below = level / eta) {
    steps += trials * static_cast<double>(level - below);
    trials *= static_cast<double>(eta);
    level = below;
  }
  return steps + trials * static_cast<double>(level);
}

std::optional<Leaders> leaders(std::span<const TrialRecord> trials, std::int64_t eta) {
  const Extent extent = extent_of(trials);
  if (extent.last == 0 || extent.spent < bracket_steps(extent.first, extent.last, eta)) return std::nullopt;
  auto observed = observe(trials, static_cast<std::size_t>(eta)).observed;
  const auto top = static_cast<std::ptrdiff_t>(observed.size()) / eta;
  if (top == 0) return std::nullopt;
  std::ranges::stable_sort(observed, {}, &Observation::value);
  Leaders leaders{.incumbent = best_at_the_highest_step(trials)};
  for (std::ptrdiff_t i = 0; i < top; ++i) leaders.top.push_back(observed[static_cast<std::size_t>(i)].trial);
  return leaders;
}

Shares shares_by(const Leaders& leaders, double uniform, const SearchSpace& space, const Params& centres,
                 double confidence) {
  std::vector<double> by_prior, by_incumbent;
  for (const TrialRecord* trial : leaders.top) {
    by_prior.push_back(log_density(space, centres, confidence, trial->params));
    by_incumbent.push_back(log_density(space, leaders.incumbent->params, confidence, trial->params));
  }
  return divide(uniform, log_rank_score(by_prior), log_rank_score(by_incumbent));
}

}  // namespace finetune
