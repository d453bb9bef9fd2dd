// Do two rungs rank trials alike? What the guards against misleading early curves ask.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <queue>
#include <span>
#include <utility>
#include <vector>

#include "core/trial.h"

namespace finetune {

/// Kendall's rank correlation (tau a) of pairs that come one by one: 1 the same order, -1 the opposite one.
class RankAgreement {
 public:
  /// Values of one trial at the lower and at the higher rung. Costs one pass over the pairs before.
  void add(double lower, double higher);
  std::size_t size() const { return pairs_.size(); }
  double tau() const;  ///< 0 for fewer than two pairs

  nlohmann::json save() const;
  void load(const nlohmann::json& json);  ///< adds the saved pairs

 private:
  std::vector<std::pair<double, double>> pairs_;
  std::int64_t balance_ = 0;  // pairs of pairs in the same order, less those in opposite order
};

/// PASHA's soft ranking (Bohdal et al., ICLR 2023, section 4.1) of trials that come one by one: alike when the i-th
/// best at the higher rung is, for every i, within epsilon at the lower rung of the lower rung's i-th best.
class SoftRanking {
 public:
  void add(TrialId trial, double lower, double higher);
  bool empty() const { return lower_.empty(); }
  bool is_alike(double epsilon) const;

 private:
  struct Place {
    std::pair<double, TrialId> higher;
    double lower = 0;
  };
  std::vector<Place> by_higher_;
  std::vector<double> lower_;  // sorted
};

/// PASHA's epsilon (section 4.2): the 90th percentile (linear interpolation) of the last distance of those pairs of
/// curves whose order flips and flips back. One curve a trial, all over the same steps, one by one: each costs one pass
/// over those before it.
class RankingNoise {
 public:
  void add(std::span<const double> curve);
  double epsilon() const;  ///< 0 when there is no such pair

 private:
  void add_distance(double distance);

  std::vector<std::vector<double>> values_;  // by step, of every curve
  // The distances up to the percentile, the largest on top, and those above, the smallest on top.
  std::priority_queue<double> below_;
  std::priority_queue<double, std::vector<double>, std::greater<>> above_;
};

}  // namespace finetune
