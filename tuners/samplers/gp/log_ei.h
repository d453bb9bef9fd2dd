// Acquisition values of one posterior, for maximisation, in logarithms so that they keep their shape far from the best
// (Ament et al., Unexpected Improvements to Expected Improvement, NeurIPS 2023, section 4.1).
#pragma once

namespace finetune::gp {

/// A value and its derivatives by the posterior's mean and variance.
struct Scored {
  double value, by_mean, by_variance;
};

/// log E[max(0, f - best)] for f normal. `variance` above 0.
Scored log_ei(double mean, double variance, double best);

/// log P(f > threshold) for f normal.
Scored log_probability_above(double mean, double variance, double threshold);

}  // namespace finetune::gp
