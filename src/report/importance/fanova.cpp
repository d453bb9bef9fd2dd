#include "report/importance/fanova.h"

#include <algorithm>
#include <numeric>

namespace finetune {
namespace {

// How much of an axis a side covers, and two have in common.
double part_covered(const Side& side, const Side& whole) {
  if (whole.has.empty()) return (side.high - side.low) / (whole.high - whole.low);
  return static_cast<double>(std::count(side.has.begin(), side.has.end(), true)) /
         static_cast<double>(whole.has.size());
}
double part_shared(const Side& a, const Side& b, const Side& whole) {
  if (whole.has.empty())
    return std::max(0.0, std::min(a.high, b.high) - std::max(a.low, b.low)) / (whole.high - whole.low);
  double both = 0;
  for (std::size_t i = 0; i < whole.has.size(); ++i) both += a.has[i] && b.has[i] ? 1 : 0;
  return both / static_cast<double>(whole.has.size());
}

// A tree whose values are those around its mean over the whole space.
class Tree {
 public:
  Tree(TreeLeaves leaves, const std::vector<Side>& wholes) : leaves_(std::move(leaves)), wholes_(wholes) {
    double mean = 0;
    for (const Leaf& leaf : leaves_) {
      std::vector<double> parts;
      for (std::size_t axis = 0; axis < wholes_.size(); ++axis)
        parts.push_back(part_covered(leaf.sides[axis], wholes_[axis]));
      volumes_.push_back(std::accumulate(parts.begin(), parts.end(), 1.0, std::multiplies<>()));
      parts_.push_back(std::move(parts));
      mean += leaf.value * volumes_.back();
    }
    for (Leaf& leaf : leaves_) leaf.value -= mean;
  }

  double variance() const {
    double sum = 0;
    for (std::size_t i = 0; i < leaves_.size(); ++i) sum += volumes_[i] * leaves_[i].value * leaves_[i].value;
    return sum;
  }

  // Of the marginal along one axis, which is constant between the borders of leaves.
  double variance_along(std::size_t axis) const {
    return wholes_[axis].has.empty() ? variance_along_range(axis) : variance_along_choices(axis);
  }

  // Of the marginals over each pair of `axes`, by pairs of leaves: entry (i, j), i < j, at i x n + j.
  std::vector<double> variances_over_pairs(const std::vector<std::size_t>& axes) const {
    const std::size_t n = axes.size();
    std::vector<double> sums(n * n, 0), ratios(n);
    for (std::size_t a = 0; a < leaves_.size(); ++a) {
      for (std::size_t b = 0; b <= a; ++b) {
        for (std::size_t k = 0; k < n; ++k) ratios[k] = overlap(a, b, axes[k]);
        const double product = (a == b ? 1 : 2) * volumes_[a] * volumes_[b] * leaves_[a].value * leaves_[b].value;
        for (std::size_t i = 0; i < n; ++i) {
          if (ratios[i] == 0) continue;
          for (std::size_t j = i + 1; j < n; ++j) sums[i * n + j] += product * ratios[i] * ratios[j];
        }
      }
    }
    return sums;
  }

 private:
  // 1 where two leaves lie along the axis as if one knew nothing of the other.
  double overlap(std::size_t a, std::size_t b, std::size_t axis) const {
    return part_shared(leaves_[a].sides[axis], leaves_[b].sides[axis], wholes_[axis]) /
           (parts_[a][axis] * parts_[b][axis]);
  }

  double variance_along_choices(std::size_t axis) const {
    std::vector<double> marginal(wholes_[axis].has.size(), 0);
    for (std::size_t i = 0; i < leaves_.size(); ++i) {
      for (std::size_t choice = 0; choice < marginal.size(); ++choice) {
        if (leaves_[i].sides[axis].has[choice]) marginal[choice] += leaves_[i].value * volumes_[i] / parts_[i][axis];
      }
    }
    double sum = 0;
    for (const double value : marginal) sum += value * value;
    return sum / static_cast<double>(marginal.size());
  }

  double variance_along_range(std::size_t axis) const {
    std::vector<std::pair<double, double>> steps;  // where the marginal changes, and by how much
    for (std::size_t i = 0; i < leaves_.size(); ++i) {
      const double height = leaves_[i].value * volumes_[i] / parts_[i][axis];
      steps.emplace_back(leaves_[i].sides[axis].low, height);
      steps.emplace_back(leaves_[i].sides[axis].high, -height);
    }
    std::sort(steps.begin(), steps.end());
    double sum = 0, height = 0, at = steps.front().first;
    for (const auto& [where, by] : steps) {
      sum += height * height * (where - at);
      height += by;
      at = where;
    }
    return sum / (wholes_[axis].high - wholes_[axis].low);
  }

  TreeLeaves leaves_;
  const std::vector<Side>& wholes_;
  std::vector<std::vector<double>> parts_;  // of each leaf, by axis
  std::vector<double> volumes_;
};

std::vector<std::size_t> largest(const std::vector<double>& shares, std::size_t count) {
  std::vector<std::size_t> order(shares.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return shares[a] > shares[b]; });
  order.resize(std::min(count, order.size()));
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace

Fanova fanova(const PlainPoints& trials, std::size_t paired, const ForestOptions& options) {
  Fanova result{std::vector<double>(trials.axes.size(), 0), {}};
  if (trials.points.size() < 2) return result;
  PlainPoints varied{{}, std::vector<std::vector<double>>(trials.points.size()), trials.losses};
  std::vector<std::size_t> names;  // of the axes that are left
  for (std::size_t axis = 0; axis < trials.axes.size(); ++axis) {
    if (trials.axes[axis].single()) continue;
    names.push_back(axis);
    varied.axes.push_back(trials.axes[axis]);
    for (std::size_t i = 0; i < trials.points.size(); ++i) varied.points[i].push_back(trials.points[i][axis]);
  }
  std::vector<Side> wholes;
  for (const Axis& axis : varied.axes) wholes.push_back(whole_side(axis));
  std::vector<Tree> trees;
  std::vector<double> variances;
  for (TreeLeaves& leaves : grow_forest(varied, options)) {
    Tree tree(std::move(leaves), wholes);
    const double variance = tree.variance();
    if (!(variance > 0)) continue;
    trees.push_back(std::move(tree));
    variances.push_back(variance);
  }
  if (trees.empty()) return result;
  const auto count = static_cast<double>(trees.size());
  std::vector<std::vector<double>> alone(trees.size());  // by tree and axis
  for (std::size_t t = 0; t < trees.size(); ++t) {
    for (std::size_t axis = 0; axis < names.size(); ++axis) {
      alone[t].push_back(trees[t].variance_along(axis));
      result.shares[names[axis]] += alone[t].back() / variances[t] / count;
    }
  }
  std::vector<double> shares;
  for (const std::size_t name : names) shares.push_back(result.shares[name]);
  const std::vector<std::size_t> axes = largest(shares, paired);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    for (std::size_t j = i + 1; j < axes.size(); ++j)
      result.interactions.push_back({names[axes[i]], names[axes[j]], 0});
  }
  for (std::size_t t = 0; t < trees.size(); ++t) {
    const std::vector<double> over = trees[t].variances_over_pairs(axes);
    std::size_t at = 0;
    for (std::size_t i = 0; i < axes.size(); ++i) {
      for (std::size_t j = i + 1; j < axes.size(); ++j, ++at) {
        const double together = over[i * axes.size() + j] - alone[t][axes[i]] - alone[t][axes[j]];
        result.interactions[at].share += std::max(0.0, together) / variances[t] / count;
      }
    }
  }
  std::stable_sort(result.interactions.begin(), result.interactions.end(),
                   [](const Interaction& a, const Interaction& b) { return a.share > b.share; });
  return result;
}

}  // namespace finetune
