// The margin for whole numbers and steps: a discrete parameter never gets stuck in one cell, because the probability of
// its neighbours is kept above a bound. R. Hamano, S. Saito, M. Nomura, S. Shirakawa, "CMA-ES with Margin:
// Lower-Bounding Marginal Probability for Mixed-Integer Black-Box Optimization" (GECCO 2022), section 4.
#pragma once

namespace finetune::cmaes {

/// One discrete parameter: draws x are read as mean + scale (x - mean), then the cell of that counts.
struct Marginal {
  double mean;
  double scale;  ///< the paper's A
};

/// `below` and `above` are the borders of the cell that holds the mean (the same number twice in the first and the last
/// cell: the one border there is), `deviation` the distribution's own standard deviation (scale not included), `margin`
/// the probability to keep, below 1/2.
Marginal with_margin(const Marginal& now, double below, double above, double deviation, double margin);

/// x with P(X > x) = p for a standard normal X, p in (0, 0.5].
double upper_quantile(double p);

}  // namespace finetune::cmaes
