#include "tuners/schedulers/wilcoxon_test.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace finetune {
namespace {

constexpr std::size_t kMostExact = 50;

struct SignedRanks {
  double positive = 0;  // sum of ranks of positive differences, half of the zeros'
  double ties = 0;      // sum of t^3 - t over groups of equal ranks
  bool has_zeros = false;
};

SignedRanks rank(std::span<const double> differences) {
  std::vector<double> sorted(differences.begin(), differences.end());
  std::sort(sorted.begin(), sorted.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  SignedRanks result;
  for (std::size_t first = 0, last = 0; first < sorted.size(); first = last) {
    while (last < sorted.size() && std::abs(sorted[last]) == std::abs(sorted[first])) ++last;
    const auto count = static_cast<double>(last - first);
    const double mean_rank = (static_cast<double>(first + 1) + static_cast<double>(last)) / 2;
    result.ties += count * count * count - count;
    if (sorted[first] == 0) result.has_zeros = true;
    for (std::size_t i = first; i < last; ++i) {
      result.positive += sorted[i] > 0 ? mean_rank : sorted[i] == 0 ? mean_rank / 2 : 0;
    }
  }
  return result;
}

// The share of the 2^n sign patterns whose positive ranks sum to at least `sum`.
double exact_tail(std::size_t n, double sum) {
  const std::size_t most = n * (n + 1) / 2;
  std::vector<double> share(most + 1, 0);  // of the patterns of the first k ranks, by their sum
  share[0] = 1;
  for (std::size_t k = 1; k <= n; ++k) {
    for (std::size_t s = most + 1; s-- > 0;) share[s] = (share[s] + (s >= k ? share[s - k] : 0)) / 2;
  }
  double tail = 0;
  for (auto s = static_cast<std::size_t>(std::ceil(sum)); s <= most; ++s) tail += share[s];
  return std::min(tail, 1.0);
}

}  // namespace

double wilcoxon_greater(std::span<const double> differences) {
  if (differences.empty()) return 1;
  const SignedRanks ranks = rank(differences);
  if (differences.size() <= kMostExact && ranks.ties == 0 && !ranks.has_zeros) {
    return exact_tail(differences.size(), ranks.positive);
  }
  const auto n = static_cast<double>(differences.size());
  const double mean = n * (n + 1) / 4;
  const double variance = n * (n + 1) * (2 * n + 1) / 24 - ranks.ties / 48;
  return 0.5 * std::erfc((ranks.positive - mean) / std::sqrt(2 * variance));
}

}  // namespace finetune
