#include "tuners/samplers/tpe/truncated_normal.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace finetune {
namespace {

constexpr double kHalfSqrt = std::numbers::sqrt2 / 2;
constexpr double kTail = -20;  // where the series is exact and erfc still far from underflow

double normal_cdf(double x) {
  return 0.5 * std::erfc(-x * kHalfSqrt);
}

// log of phi(x) / -x times 1 - 1/x^2 + 3/x^4 - ...: at 20 the terms fall below rounding long before they grow again.
double log_cdf_of_tail(double x) {
  const double inverse_square = 1 / (x * x);
  double sum = 1, term = 1;
  for (int k = 1; std::abs(term) > std::numeric_limits<double>::epsilon() / 4; ++k) {
    term *= -(2 * k - 1) * inverse_square;
    sum += term;
  }
  return -x * x / 2 - std::log(-x) - kLogSqrtTwoPi + std::log(sum);
}

// log(exp(a) + exp(b))
double log_sum(double a, double b) {
  const double high = std::max(a, b);
  return std::isinf(high) ? high : high + std::log1p(std::exp(std::min(a, b) - high));
}

// Up to the median, within 4.5e-4 (Abramowitz and Stegun, 26.2.23).
double first_guess(double log_p) {
  const double t = std::sqrt(-2 * log_p);
  return (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t;
}

}  // namespace

double log_normal_cdf(double x) {
  if (x < kTail) return log_cdf_of_tail(x);
  if (x > 5) return std::log1p(-normal_cdf(-x));
  return std::log(normal_cdf(x));
}

double inverse_log_normal_cdf(double log_p) {
  if (log_p > -0.69) return -inverse_log_normal_cdf(std::log(-std::expm1(log_p)));
  double x = first_guess(log_p);
  for (int i = 0; i < 100; ++i) {
    const double log_cdf = log_normal_cdf(x);
    const double inverse_slope = std::exp(log_cdf + x * x / 2 + kLogSqrtTwoPi);
    const double newton = (log_cdf - log_p) * inverse_slope;
    const double change = newton / (1 + newton * (x + 1 / inverse_slope) / 2);
    x -= change;
    if (std::abs(change) < 1e-6 * std::max(std::abs(x), 0.1)) break;  // convergence is cubic: 1e-18 is left
  }
  return x;
}

double log_normal_mass(double a, double b) {
  if (a > 0) return log_normal_mass(-b, -a);
  if (b > 0) {
    const double outside = normal_cdf(a) + normal_cdf(-b);
    return outside < 0.5 ? std::log1p(-outside) : std::log(0.5 * (std::erf(b * kHalfSqrt) + std::erf(-a * kHalfSqrt)));
  }
  if (b > kTail) return std::log(normal_cdf(b) - normal_cdf(a));
  const double log_b = log_normal_cdf(b);
  return log_b + std::log1p(-std::exp(log_normal_cdf(a) - log_b));
}

double truncated_normal_quantile(double q, double a, double b) {
  if (a >= 0) return -truncated_normal_quantile(1 - q, -b, -a);
  if (q <= 0) return a;
  if (q >= 1) return b;
  const double log_p = log_sum(log_normal_cdf(a), std::log(q) + log_normal_mass(a, b));
  return std::clamp(inverse_log_normal_cdf(log_p), a, b);
}

}  // namespace finetune
