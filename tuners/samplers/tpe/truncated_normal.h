// The standard normal distribution cut to an interval, exact far out in the tails, where the plain formulas underflow
// or cancel. Everything stays in logarithms; symmetry moves each question to the left tail, where erfc is exact.
#pragma once

namespace finetune {

inline constexpr double kLogSqrtTwoPi = 0.9189385332046727;  // log(2 pi) / 2 as doubles give it

/// log P(Z <= x). Below -20 by the asymptotic series of erfc (Abramowitz and Stegun, 26.2.12).
double log_normal_cdf(double x);
/// x with log_normal_cdf(x) = log_p, by Halley's method to about 1e-15; log_p < 0.
double inverse_log_normal_cdf(double log_p);
/// log P(a <= Z <= b), a < b; either may be infinite.
double log_normal_mass(double a, double b);
/// The q-quantile of Z given a <= Z <= b, in [a, b]; q in [0, 1], a < b.
double truncated_normal_quantile(double q, double a, double b);

}  // namespace finetune
