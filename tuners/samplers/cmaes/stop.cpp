#include "tuners/samplers/cmaes/stop.h"

#include <algorithm>
#include <cmath>

namespace finetune::cmaes {
namespace {

constexpr double kTolFun = 1e-12, kTolX = 1e-12, kTolXUp = 1e4, kWorstCondition = 1e14;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::vector<double> last(const std::vector<double>& values, std::size_t count) {
  return {values.end() - static_cast<std::ptrdiff_t>(count), values.end()};
}

// EqualFunValues and TolFun.
bool values_are_flat(const History& history, double n, double population) {
  const auto window = static_cast<std::size_t>(10 + std::ceil(30 * n / population));
  if (history.best.size() < window) return false;
  const std::vector<double> recent = last(history.best, window);
  const auto [low, high] = std::minmax_element(recent.begin(), recent.end());
  return *low == *high || std::max(*high, history.worst) - *low < kTolFun;
}

bool values_stagnate(const History& history, double n, double population) {
  const auto generations = static_cast<double>(history.best.size());
  const double window = std::min(20000.0, std::max(0.2 * generations, std::ceil(120 + 30 * n / population)));
  if (generations < window) return false;
  const auto count = static_cast<std::size_t>(window);
  return stagnates(last(history.best, count)) && stagnates(last(history.median, count));
}

// NoEffectAxis looks at one axis a generation, in turn; NoEffectCoord at all coordinates.
bool steps_have_no_effect(const Distribution& d, const Axes& axes, const Eigen::VectorXd& deviations_N) {
  const Eigen::Index i = d.generation % d.mean_N.size();
  const Eigen::VectorXd along_axis_N = 0.1 * d.sigma * axes.lengths_N[i] * axes.vectors_NN.col(i);
  if (d.mean_N + along_axis_N == d.mean_N) return true;
  return ((d.mean_N + 0.2 * deviations_N).array() == d.mean_N.array()).any();
}

}  // namespace

bool stagnates(const std::vector<double>& values) {
  const auto share = static_cast<std::ptrdiff_t>(0.3 * static_cast<double>(values.size()));
  return median({values.end() - share, values.end()}) >= median({values.begin(), values.begin() + share});
}

bool should_stop(const Distribution& d, const Axes& axes, const History& history, Eigen::Index population,
                 double first_spread) {
  const auto n = static_cast<double>(d.mean_N.size()), members = static_cast<double>(population);
  const Eigen::VectorXd deviations_N = d.sigma * d.covariance_NN.diagonal().cwiseSqrt();
  const double shortest = axes.lengths_N.minCoeff(), longest = axes.lengths_N.maxCoeff();
  const bool is_small = deviations_N.maxCoeff() < kTolX * first_spread &&
                        d.sigma * d.path_c_N.cwiseAbs().maxCoeff() < kTolX * first_spread;
  const bool diverges = !(d.sigma * longest <= kTolXUp * first_spread);
  const bool is_degenerate = longest * longest > kWorstCondition * shortest * shortest;
  return is_small || diverges || is_degenerate || steps_have_no_effect(d, axes, deviations_N) ||
         values_are_flat(history, n, members) || values_stagnate(history, n, members);
}

}  // namespace finetune::cmaes
