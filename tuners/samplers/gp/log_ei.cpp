#include "tuners/samplers/gp/log_ei.h"

#include <cmath>

namespace finetune::gp {
namespace {

constexpr double kLogSqrt2Pi = 0.91893853320467274178;
constexpr double kFarBelow = -25;  // below it the series hold 12 digits; above it nothing underflows or cancels badly

double density(double z) {
  return std::exp(-0.5 * z * z - kLogSqrt2Pi);
}
double cumulative(double z) {
  return 0.5 * std::erfc(-z * 0.70710678118654752440);
}

// Asymptotic series in q = 1/z^2 (Abramowitz and Stegun 26.2.12): P(z) = density/|z| x tail(q), and
// density + z P(z) = density q x gain(q).
double tail(double q) {
  return 1 - q * (1 - 3 * q * (1 - 5 * q * (1 - 7 * q * (1 - 9 * q * (1 - 11 * q)))));
}
double gain(double q) {
  return 1 - 3 * q * (1 - 5 * q * (1 - 7 * q * (1 - 9 * q * (1 - 11 * q * (1 - 13 * q)))));
}

}  // namespace

Scored log_ei(double mean, double variance, double best) {
  const double sigma = std::sqrt(variance), z = (mean - best) / sigma;
  double log_h, probability, ratio;  // h = density + z P(z), and P / h and density / h
  if (z >= kFarBelow) {
    const double h = density(z) + z * cumulative(z);
    log_h = std::log(h), probability = cumulative(z) / h, ratio = density(z) / h;
  } else {
    const double q = 1 / (z * z), g = gain(q);
    log_h = -0.5 * z * z - kLogSqrt2Pi + std::log(q * g);
    probability = -z * tail(q) / g, ratio = 1 / (q * g);
  }
  return {log_h + std::log(sigma), probability / sigma, ratio / (2 * variance)};
}

Scored log_probability_above(double mean, double variance, double threshold) {
  const double sigma = std::sqrt(variance), z = (mean - threshold) / sigma;
  const double q = 1 / (z * z);
  const double value = z >= kFarBelow ? std::log(cumulative(z)) : -0.5 * z * z - kLogSqrt2Pi + std::log(-tail(q) / z);
  const double slope = z >= kFarBelow ? density(z) / cumulative(z) : -z / tail(q);
  return {value, slope / sigma, -slope * z / (2 * variance)};
}

}  // namespace finetune::gp
