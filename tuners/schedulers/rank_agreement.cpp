#include "tuners/schedulers/rank_agreement.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

namespace finetune {
namespace {

int sign(double x) {
  return (x > 0) - (x < 0);
}

std::vector<std::size_t> best_first(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  return order;
}

// The order of two curves changes, and changes back.
bool flips_twice(const std::vector<double>& a, const std::vector<double>& b) {
  int flips = 0, last = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const int now = sign(a[i] - b[i]);
    if (now == 0) continue;
    if (last != 0 && now != last) ++flips;
    last = now;
  }
  return flips >= 2;
}

}  // namespace

void RankAgreement::add(double lower, double higher) {
  for (const auto& [x, y] : pairs_) balance_ += sign(lower - x) * sign(higher - y);
  pairs_.emplace_back(lower, higher);
}

double RankAgreement::tau() const {
  if (pairs_.size() < 2) return 0;
  const auto n = static_cast<double>(pairs_.size());
  return static_cast<double>(balance_) / (n * (n - 1) / 2);
}

nlohmann::json RankAgreement::save() const {
  return pairs_;
}

void RankAgreement::load(const nlohmann::json& json) {
  for (const auto& pair : json) add(pair.at(0).get<double>(), pair.at(1).get<double>());
}

bool ranks_alike(std::span<const double> lower, std::span<const double> higher, double epsilon) {
  const auto low_order = best_first(lower), high_order = best_first(higher);
  for (std::size_t i = 0; i < low_order.size(); ++i) {
    if (std::abs(lower[high_order[i]] - lower[low_order[i]]) > epsilon) return false;
  }
  return true;
}

void RankingNoise::add(std::vector<double> curve) {
  for (const auto& other : curves_) {
    if (flips_twice(curve, other)) distances_.push_back(std::abs(curve.back() - other.back()));
  }
  curves_.push_back(std::move(curve));
}

double RankingNoise::epsilon() const {
  return distances_.empty() ? 0 : percentile_of(distances_, 90);
}

double percentile_of(std::vector<double> values, double percentile) {
  std::sort(values.begin(), values.end());
  const double rank = percentile / 100 * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(std::floor(rank));
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (values[high] - values[low]) * (rank - static_cast<double>(low));
}

}  // namespace finetune
