// When a run of CMA-ES has nothing more to find: the termination criteria of Hansen's tutorial (arXiv 1604.00772,
// appendix B.3).
#pragma once

#include <cstdint>
#include <vector>

#include "tuners/samplers/cmaes/cma.h"

namespace finetune::cmaes {

/// Objective values of a run's generations; those without a value at all are left out.
struct History {
  std::vector<double> best, median;  ///< one a generation, the newest last
  double worst = 0;                  ///< of the newest generation
};

/// The last 30 % of `values` are no better, by their median, than the first 30 %.
bool stagnates(const std::vector<double>& values);

/// `first_spread`: sigma times the longest axis when the run began.
bool should_stop(const Distribution& distribution, const Axes& axes, const History& history, Eigen::Index population,
                 double first_spread);

}  // namespace finetune::cmaes
