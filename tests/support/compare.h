// The one comparer of numbers in the tests. NaN, infinity, wrong size and empty input fail; the message names the worst
// index, both values and the bound.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

namespace finetune::testing {

/// How far apart two numbers may be: ok if |actual - expected| <= absolute + relative * scale, where scale is
/// |expected|, or the largest |expected| when `of_largest` (for sums with cancellation).
struct Bound {
  double absolute = 0;
  double relative = 0;
  bool of_largest = false;
};

template <typename A, typename B>
::testing::AssertionResult all_near(std::span<const A> actual, std::span<const B> expected, Bound bound) {
  if (expected.empty()) return ::testing::AssertionFailure() << "nothing to compare: expected is empty";
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure() << "sizes differ: " << actual.size() << " and " << expected.size();
  }
  double largest = 0;
  for (const B value : expected) largest = std::max(largest, std::fabs(static_cast<double>(value)));
  double worst = -1;
  std::size_t worst_index = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double a = static_cast<double>(actual[i]), e = static_cast<double>(expected[i]);
    const double allowed = bound.absolute + bound.relative * (bound.of_largest ? largest : std::fabs(e));
    const double difference = std::fabs(a - e);
    if (!std::isfinite(a) || !std::isfinite(e)) {
      return ::testing::AssertionFailure() << "not finite at [" << i << "]: " << a << " and " << e;
    }
    const double excess = difference <= allowed ? 0 : difference - allowed;
    if (excess > worst) {
      worst = excess;
      worst_index = i;
    }
  }
  if (worst <= 0) return ::testing::AssertionSuccess();
  const double a = static_cast<double>(actual[worst_index]), e = static_cast<double>(expected[worst_index]);
  return ::testing::AssertionFailure() << "worst at [" << worst_index << "]: " << a << " instead of " << e
                                       << ", off by " << std::fabs(a - e) << ", allowed "
                                       << bound.absolute + bound.relative * (bound.of_largest ? largest : std::fabs(e));
}

/// For single numbers.
inline ::testing::AssertionResult near(double actual, double expected, Bound bound) {
  return all_near(std::span<const double>(&actual, 1), std::span<const double>(&expected, 1), bound);
}

}  // namespace finetune::testing
