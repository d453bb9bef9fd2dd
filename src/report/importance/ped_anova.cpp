#include "report/importance/ped_anova.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace finetune {
namespace {

using Numbers = std::vector<double>;

constexpr double kTargetQuantile = 0.1;
constexpr std::size_t kFewestBest = 2;
constexpr std::size_t kGrid = 50;
constexpr double kPriorWeight = 1;
constexpr double kFloor = 1e-12;  // of a density, which is divided by

// The n-th smallest, from 0.
double nth_smallest(Numbers values, std::size_t n) {
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(n);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

std::vector<std::size_t> best_trials(const Numbers& losses) {
  const auto share = static_cast<std::size_t>(std::ceil(kTargetQuantile * static_cast<double>(losses.size())));
  const double cutoff = nth_smallest(losses, std::max(kFewestBest, share) - 1);
  std::vector<std::size_t> best;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (losses[i] <= cutoff) best.push_back(i);
  }
  return best;
}

std::size_t grid_size(const Axis& axis) {
  if (axis.log && axis.integer) {
    const auto bits = static_cast<std::size_t>(std::ceil(std::log(axis.high - axis.low + 1) / std::log(2.0)));
    return std::min(bits + 1, kGrid);
  }
  if (axis.spacing() == 0) return kGrid;
  const double values = std::nearbyint((axis.high - axis.low) / axis.spacing()) + 1;
  return static_cast<std::size_t>(std::min(values, static_cast<double>(kGrid)));
}

// Where the values of a range stand on its grid: the first point of it that is no more than half a step below.
class GridOfRange {
 public:
  explicit GridOfRange(const Axis& axis) : log_(axis.log), points_(grid_size(axis)) {
    const double low = scaled(axis.low), high = scaled(axis.high);
    const double step = (high - low) / static_cast<double>(points_.size() - 1);
    for (std::size_t i = 0; i < points_.size(); ++i) points_[i] = static_cast<double>(i) * step + low;
    points_.back() = high;
  }
  std::size_t size() const { return points_.size(); }
  std::size_t index_of(double value) const {
    const double half = (points_[1] - points_[0]) / 2;
    const auto at = std::lower_bound(points_.begin(), points_.end(), scaled(value) - half) - points_.begin();
    return std::min(static_cast<std::size_t>(at), points_.size() - 1);
  }

 private:
  double scaled(double value) const { return log_ ? std::log(value) : value; }

  bool log_;
  Numbers points_;
};

double normal_between(double low, double high) {
  const double root = std::sqrt(2.0);
  // From whichever tail is near, where the difference is not lost in rounding.
  if (low > 0) return (std::erfc(low / root) - std::erfc(high / root)) / 2;
  return (std::erfc(-high / root) - std::erfc(-low / root)) / 2;
}

// Scott's rule with the spread taken from whichever of deviation and quartiles is smaller (Scott 1992), in grid steps.
double bandwidth(const Numbers& counts, double trials) {
  Numbers at, upto;
  double mean = 0, squares = 0, sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    at.push_back(static_cast<double>(i));
    upto.push_back(sum += counts[i]);
    mean += static_cast<double>(i) * counts[i] / trials;
  }
  for (std::size_t i = 0; i < counts.size(); ++i)
    squares += counts[i] * (static_cast<double>(i) - mean) * (static_cast<double>(i) - mean);
  const double deviation = std::sqrt(squares / std::max(1.0, trials - 1));
  const auto first = std::lower_bound(upto.begin(), upto.end(), std::floor(trials / 4)) - upto.begin();
  const auto third = std::upper_bound(upto.begin(), upto.end(), std::floor(trials * 3 / 4)) - upto.begin();
  const double quartiles =
      at[std::min(at.size() - 1, static_cast<std::size_t>(third))] - at[static_cast<std::size_t>(first)];
  return 1.059 * std::min(quartiles / 1.34, deviation) * std::pow(trials, -0.2);
}

// A kernel a point of the grid that has trials, weighed with their number, and one over all of it as the prior.
Numbers density_on_grid(const Numbers& counts) {
  const double trials = std::accumulate(counts.begin(), counts.end(), 0.0), size = static_cast<double>(counts.size());
  const double narrow = std::max(bandwidth(counts, trials), 0.5 / 1.64);  // 90 % of a kernel within its own point
  Numbers density(counts.size(), 0);
  const auto add = [&](double center, double width, double weight) {
    const double inside = normal_between((-0.5 - center) / width, (size - 0.5 - center) / width);
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const double x = static_cast<double>(i) - center;
      density[i] += weight / (trials + kPriorWeight) * normal_between((x - 0.5) / width, (x + 0.5) / width) / inside;
    }
  };
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) add(static_cast<double>(i), narrow, counts[i]);
  }
  add((size - 1) / 2, size, kPriorWeight);
  return density;
}

// A kernel a choice that was made, which leaves a little to the others, and the uniform one as the prior.
Numbers density_of_choices(const Numbers& counts) {
  const double trials = std::accumulate(counts.begin(), counts.end(), 0.0), size = static_cast<double>(counts.size());
  const auto made = static_cast<double>(std::count_if(counts.begin(), counts.end(), [](double n) { return n > 0; }));
  const double left = kPriorWeight / (made + 1);
  Numbers density(counts.size(), kPriorWeight / size / (trials + kPriorWeight));
  for (std::size_t chosen = 0; chosen < counts.size(); ++chosen) {
    const double weight = counts[chosen] / (trials + kPriorWeight) / (1 + left * size);
    for (std::size_t i = 0; i < counts.size(); ++i) density[i] += weight * (left + (i == chosen ? 1 : 0));
  }
  return density;
}

// Pearson's divergence of the first from the second.
double divergence(const Numbers& best, const Numbers& all) {
  double sum = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double beneath = all[i] + kFloor, ratio = (best[i] + kFloor) / beneath - 1;
    sum += beneath * ratio * ratio;
  }
  return sum;
}

double divergence_along(const PlainPoints& trials, std::size_t axis, const std::vector<std::size_t>& best) {
  const Axis& domain = trials.axes[axis];
  if (domain.choices > 0) {
    Numbers of_best(domain.choices, 0), of_all(domain.choices, 0);
    for (const auto& point : trials.points) ++of_all[static_cast<std::size_t>(point[axis])];
    for (const std::size_t i : best) ++of_best[static_cast<std::size_t>(trials.points[i][axis])];
    return divergence(density_of_choices(of_best), density_of_choices(of_all));
  }
  const GridOfRange grid(domain);
  Numbers of_best(grid.size(), 0), of_all(grid.size(), 0);
  for (const auto& point : trials.points) ++of_all[grid.index_of(point[axis])];
  for (const std::size_t i : best) ++of_best[grid.index_of(trials.points[i][axis])];
  return divergence(density_on_grid(of_best), density_on_grid(of_all));
}

}  // namespace

std::vector<double> ped_anova(const PlainPoints& trials) {
  Numbers importance(trials.axes.size(), 0);
  if (trials.losses.size() <= kFewestBest) return importance;
  const std::vector<std::size_t> best = best_trials(trials.losses);
  const double quantile = static_cast<double>(best.size()) / static_cast<double>(trials.losses.size());
  for (std::size_t axis = 0; axis < importance.size(); ++axis) {
    if (!trials.axes[axis].single()) importance[axis] = quantile * quantile * divergence_along(trials, axis, best);
  }
  return importance;
}

}  // namespace finetune
