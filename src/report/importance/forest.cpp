#include "report/importance/forest.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>

#include "core/random.h"

namespace finetune {
namespace {

using Indices = std::vector<std::size_t>;

struct Split {
  double gain = 0;  // of the sum of squares
  std::size_t axis = 0;
  double at = 0;           // of a range: up to and including
  std::vector<bool> left;  // of choices
};

// The trials of one tree, with the axes scaled.
struct Sample {
  const std::vector<Axis>* axes;
  std::vector<std::vector<double>> columns;  // by axis
  const std::vector<double>* losses;
};

// By how much the squares around the mean fall when a sum over n is parted.
double gain_of(double left, double in_left, double sum, double n) {
  const double right = sum - left;
  return left * left / in_left + right * right / (n - in_left) - sum * sum / n;
}

void try_range(const Sample& sample, std::size_t axis, Indices& trials, double sum, Split& best) {
  const std::vector<double>& column = sample.columns[axis];
  std::sort(trials.begin(), trials.end(),
            [&](std::size_t a, std::size_t b) { return column[a] < column[b] || (column[a] == column[b] && a < b); });
  const auto n = static_cast<double>(trials.size());
  double left = 0;
  for (std::size_t i = 0; i + 1 < trials.size(); ++i) {
    left += (*sample.losses)[trials[i]];
    const double here = column[trials[i]], next = column[trials[i + 1]];
    if (here == next) continue;
    const double gain = gain_of(left, static_cast<double>(i + 1), sum, n);
    if (gain <= best.gain) continue;
    const double middle = here + (next - here) / 2;
    best = {gain, axis, middle < next ? middle : here, {}};
  }
}

void try_choices(const Sample& sample, std::size_t axis, const Indices& trials, double sum, Split& best) {
  const std::size_t choices = (*sample.axes)[axis].choices;
  std::vector<double> sums(choices, 0), counts(choices, 0);
  for (const std::size_t trial : trials) {
    const auto choice = static_cast<std::size_t>(sample.columns[axis][trial]);
    sums[choice] += (*sample.losses)[trial];
    ++counts[choice];
  }
  Indices order;
  for (std::size_t choice = 0; choice < choices; ++choice) {
    if (counts[choice] > 0) order.push_back(choice);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return sums[a] / counts[a] < sums[b] / counts[b]; });
  const auto n = static_cast<double>(trials.size());
  double left = 0, in_left = 0;
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    left += sums[order[i]];
    in_left += counts[order[i]];
    const double gain = gain_of(left, in_left, sum, n);
    if (gain <= best.gain) continue;
    best = {gain, axis, 0, std::vector<bool>(choices, false)};
    for (std::size_t choice = 0; choice < choices; ++choice) best.left[choice] = counts[choice] == 0 && 2 * in_left > n;
    for (std::size_t k = 0; k <= i; ++k) best.left[order[k]] = true;
  }
}

// Nothing where all trials are alike in what they did, or in every axis.
std::optional<Split> best_split(const Sample& sample, Indices& trials) {
  double sum = 0, squares = 0;
  for (const std::size_t trial : trials) sum += (*sample.losses)[trial];
  const double mean = sum / static_cast<double>(trials.size());
  for (const std::size_t trial : trials) squares += std::pow((*sample.losses)[trial] - mean, 2);
  if (!(squares > 0)) return std::nullopt;
  Split best{.gain = 1e-12 * squares};
  bool found = false;
  for (std::size_t axis = 0; axis < sample.axes->size(); ++axis) {
    const double before = best.gain;
    if ((*sample.axes)[axis].choices > 0)
      try_choices(sample, axis, trials, sum, best);
    else
      try_range(sample, axis, trials, sum, best);
    found = found || best.gain > before;
  }
  return found ? std::optional(best) : std::nullopt;
}

Side part_of(const Side& side, const Split& split, bool left) {
  Side part = side;
  if (!split.left.empty()) {
    for (std::size_t i = 0; i < part.has.size(); ++i) part.has[i] = side.has[i] && split.left[i] == left;
  } else {
    (left ? part.high : part.low) = split.at;
  }
  return part;
}

TreeLeaves grow(const Sample& sample, Indices drawn, const ForestOptions& options) {
  struct Node {
    Indices trials;
    std::vector<Side> sides;
  };
  Node root{std::move(drawn), {}};
  for (const Axis& axis : *sample.axes) root.sides.push_back(whole_side(axis));
  std::vector<Node> open;
  open.push_back(std::move(root));
  TreeLeaves leaves;
  while (!open.empty()) {
    Node node = std::move(open.back());
    open.pop_back();
    const auto split = node.trials.size() >= options.fewest_to_split ? best_split(sample, node.trials) : std::nullopt;
    if (!split) {
      double sum = 0;
      for (const std::size_t trial : node.trials) sum += (*sample.losses)[trial];
      leaves.push_back({sum / static_cast<double>(node.trials.size()), std::move(node.sides)});
      continue;
    }
    const auto goes_left = [&](std::size_t trial) {
      const double value = sample.columns[split->axis][trial];
      return split->left.empty() ? value <= split->at : split->left[static_cast<std::size_t>(value)];
    };
    for (const bool left : {false, true}) {
      Node child{{}, node.sides};
      std::copy_if(node.trials.begin(), node.trials.end(), std::back_inserter(child.trials),
                   [&](std::size_t trial) { return goes_left(trial) == left; });
      child.sides[split->axis] = part_of(node.sides[split->axis], *split, left);
      open.push_back(std::move(child));
    }
  }
  return leaves;
}

}  // namespace

ForestOptions forest_options(std::size_t trials) {
  return {.fewest_to_split = std::max<std::size_t>(2, trials / 500)};
}

double scaled(const Axis& axis, double value) {
  return axis.log ? std::log(value) : value;
}

Side whole_side(const Axis& axis) {
  if (axis.choices > 0) return {.has = std::vector<bool>(axis.choices, true)};
  const double margin = axis.spacing() / 2;
  const double low = axis.log && axis.low - margin <= 0 ? axis.low : axis.low - margin;
  return {scaled(axis, low), scaled(axis, axis.high + margin), {}};
}

std::vector<TreeLeaves> grow_forest(const PlainPoints& trials, const ForestOptions& options) {
  Sample sample{&trials.axes, {}, &trials.losses};
  for (std::size_t axis = 0; axis < trials.axes.size(); ++axis) {
    std::vector<double> column;
    for (const auto& point : trials.points) column.push_back(scaled(trials.axes[axis], point[axis]));
    sample.columns.push_back(std::move(column));
  }
  std::vector<TreeLeaves> forest;
  for (std::size_t tree = 0; tree < options.trees; ++tree) {
    Random random(0, Purpose::report, tree);
    Indices drawn;
    for (std::size_t i = 0; i < trials.points.size(); ++i) drawn.push_back(random.below(trials.points.size()));
    forest.push_back(grow(sample, std::move(drawn), options));
  }
  return forest;
}

}  // namespace finetune
