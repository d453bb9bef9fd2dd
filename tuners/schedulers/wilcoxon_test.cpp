#include "tuners/schedulers/wilcoxon_test.h"

#include <algorithm>
#include <cmath>

namespace finetune {
namespace {

constexpr std::size_t kMostExact = 50;
constexpr double kRounding = 1 - 1e-9;  // two ways to the same p value differ by less

double cubed(double t) {
  return t * t * t - t;
}

}  // namespace

WilcoxonTest::SignedRanks WilcoxonTest::rank(std::span<const double> differences) {
  std::vector<double> sorted(differences.begin(), differences.end());
  std::sort(sorted.begin(), sorted.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  SignedRanks result{.count = sorted.size()};
  for (std::size_t first = 0, last = 0; first < sorted.size(); first = last) {
    while (last < sorted.size() && std::abs(sorted[last]) == std::abs(sorted[first])) ++last;
    const auto count = static_cast<double>(last - first);
    const double mean_rank = (static_cast<double>(first + 1) + static_cast<double>(last)) / 2;
    result.ties += cubed(count);
    result.largest = std::max(result.largest, count);
    if (sorted[first] == 0) result.has_zeros = true;
    for (std::size_t i = first; i < last; ++i) {
      result.positive += sorted[i] > 0 ? mean_rank : sorted[i] == 0 ? mean_rank / 2 : 0;
    }
  }
  return result;
}

// The share of the 2^n sign patterns whose positive ranks sum to at least `sum`.
double WilcoxonTest::exact_tail(std::size_t count, double sum) {
  if (shares_.empty()) shares_.push_back({1});
  while (shares_.size() <= count) {
    const std::size_t k = shares_.size();
    std::vector<double> share(k * (k + 1) / 2 + 1, 0);
    const std::vector<double>& before = shares_.back();
    for (std::size_t s = 0; s < share.size(); ++s) {
      const double without = s < before.size() ? before[s] : 0, with = s >= k ? before[s - k] : 0;
      share[s] = (without + with) / 2;
    }
    shares_.push_back(std::move(share));
  }
  const std::vector<double>& share = shares_[count];
  double tail = 0;
  for (auto s = static_cast<std::size_t>(std::ceil(sum)); s < share.size(); ++s) tail += share[s];
  return std::min(tail, 1.0);
}

double WilcoxonTest::normal_tail(double count, double positive, double ties) {
  const double mean = count * (count + 1) / 4;
  const double variance = count * (count + 1) * (2 * count + 1) / 24 - ties / 48;
  return 0.5 * std::erfc((positive - mean) / std::sqrt(2 * variance));
}

double WilcoxonTest::p_value(const SignedRanks& ranks) {
  if (ranks.count == 0) return 1;
  if (ranks.count <= kMostExact && ranks.ties == 0 && !ranks.has_zeros) return exact_tail(ranks.count, ranks.positive);
  return normal_tail(static_cast<double>(ranks.count), ranks.positive, ranks.ties);
}

// All that come are positive and above the rest; for the variance all of them join the largest group of equals.
double WilcoxonTest::least_p_value(const SignedRanks& ranks, std::size_t more) {
  const auto before = static_cast<double>(ranks.count), count = before + static_cast<double>(more);
  const double negative = before * (before + 1) / 2 - ranks.positive;
  const double positive = count * (count + 1) / 2 - negative;
  const double ties = ranks.ties + cubed(ranks.largest + static_cast<double>(more)) - cubed(ranks.largest);
  const double normal = normal_tail(count, positive, ties);
  const std::size_t whole = ranks.count + more;
  return whole > kMostExact ? normal : std::min(normal, exact_tail(whole, positive));
}

double WilcoxonTest::greater(std::span<const double> differences) {
  return p_value(rank(differences));
}

std::int64_t WilcoxonTest::idle(std::span<const double> differences, double threshold) {
  const SignedRanks ranks = rank(differences);
  if (ranks.count == 0) return 0;
  std::size_t more = 0;
  while (more < ranks.count && least_p_value(ranks, more + 1) * kRounding >= threshold) ++more;
  return static_cast<std::int64_t>(more);
}

}  // namespace finetune
