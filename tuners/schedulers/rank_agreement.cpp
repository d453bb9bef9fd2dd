#include "tuners/schedulers/rank_agreement.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace finetune {
namespace {

int sign(double x) {
  return (x > 0) - (x < 0);
}

// Where the 90th percentile of so many sorted values lies, as numpy has it: between the value at its whole part and the
// next.
double rank_of_percentile(std::size_t count) {
  return 0.9 * static_cast<double>(count - 1);
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

void SoftRanking::add(TrialId trial, double lower, double higher) {
  const Place place{{higher, trial}, lower};
  const auto before = [](const Place& a, const Place& b) { return a.higher < b.higher; };
  by_higher_.insert(std::upper_bound(by_higher_.begin(), by_higher_.end(), place, before), place);
  lower_.insert(std::upper_bound(lower_.begin(), lower_.end(), lower), lower);
}

bool SoftRanking::is_alike(double epsilon) const {
  for (std::size_t i = 0; i < lower_.size(); ++i) {
    if (std::abs(by_higher_[i].lower - lower_[i]) > epsilon) return false;
  }
  return true;
}

// Step by step over all curves before, so that the inner loop has no branch and reads values in order.
void RankingNoise::add(std::span<const double> curve) {
  values_.resize(curve.size());
  const std::size_t others = values_.empty() ? 0 : values_.front().size();
  std::vector<std::int8_t> last(others, 0), flips(others, 0);
  for (std::size_t step = 0; step < curve.size(); ++step) {
    std::vector<double>& values = values_[step];
    for (std::size_t i = 0; i < others; ++i) {
      const int now = sign(curve[step] - values[i]);
      flips[i] = static_cast<std::int8_t>(std::min(2, flips[i] + (now * last[i] < 0)));
      last[i] = static_cast<std::int8_t>(now != 0 ? now : last[i]);
    }
    values.push_back(curve[step]);
  }
  for (std::size_t i = 0; i < others; ++i) {
    if (flips[i] == 2) add_distance(std::abs(curve.back() - values_.back()[i]));
  }
}

void RankingNoise::add_distance(double distance) {
  const auto move_top = [](auto& from, auto& to) {
    to.push(from.top());
    from.pop();
  };
  above_.push(distance);
  move_top(above_, below_);
  const auto wanted = static_cast<std::size_t>(rank_of_percentile(below_.size() + above_.size())) + 1;
  if (below_.size() > wanted) move_top(below_, above_);
}

double RankingNoise::epsilon() const {
  if (below_.empty()) return 0;
  const double rank = rank_of_percentile(below_.size() + above_.size()), low = below_.top();
  return above_.empty() ? low : low + (above_.top() - low) * (rank - std::floor(rank));
}

}  // namespace finetune
