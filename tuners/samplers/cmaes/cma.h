// The CMA evolution strategy's distribution and its update: N. Hansen, "The CMA Evolution Strategy: A Tutorial"
// (arXiv 1604.00772), with active (negative) recombination weights. Equation numbers are that paper's. Free functions
// on plain values; minimisation. Shapes: N parameters, L members of a generation (lambda).
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "core/random.h"

namespace finetune::cmaes {

/// Table 1: what depends on N and L alone.
struct Constants {
  Eigen::Index parents = 0;  ///< mu: members with positive weight
  double parents_effective = 0;
  Eigen::VectorXd weights_L;  ///< best first; those after the parents are negative
  double c_sigma = 0, d_sigma = 0, c_c = 0, c_1 = 0, c_mu = 0;
  double expected_norm = 0;  ///< E||N(0, I)||
};

/// 4 + floor(3 ln N).
Eigen::Index default_population(Eigen::Index parameters);
Constants constants(Eigen::Index parameters, Eigen::Index population);

/// N(mean, sigma^2 covariance) and the paths that adapt it.
struct Distribution {
  Eigen::VectorXd mean_N;
  double sigma = 0;
  Eigen::MatrixXd covariance_NN;
  Eigen::VectorXd path_sigma_N, path_c_N;
  std::int64_t generation = 0;
};

Distribution start(const Eigen::VectorXd& mean_N, double sigma);
Distribution start(const Eigen::VectorXd& mean_N, double sigma, const Eigen::MatrixXd& covariance_NN);

/// covariance = vectors diag(lengths^2) vectors^T; lengths ascend and are above 0.
struct Axes {
  Eigen::MatrixXd vectors_NN;
  Eigen::VectorXd lengths_N;
};
Axes axes_of(const Eigen::MatrixXd& covariance_NN);

/// One draw from the distribution.
Eigen::VectorXd draw(const Distribution& distribution, const Axes& axes, Random& random);

/// One generation: L points, best first, each a draw of this distribution or injected into it.
Distribution update(const Distribution& before, const Axes& axes, const Constants& constants,
                    const std::vector<Eigen::VectorXd>& best_first);

/// A point that is no draw of this distribution, pulled towards the mean to at most sqrt(N) + 2N/(N+2) standard
/// deviations, so that it cannot upset the adaptation (Hansen, "Injecting External Solutions Into CMA-ES",
/// arXiv 1110.4181, equation 4).
Eigen::VectorXd injected(const Distribution& distribution, const Axes& axes, const Eigen::VectorXd& point_N);

/// A distribution over the best tenth of at least ten points, best first (Nomura et al., "Warm Starting CMA-ES for
/// Hyperparameter Optimization", AAAI 2021, section 4; gamma = alpha = 0.1).
Distribution warm_start(const std::vector<Eigen::VectorXd>& best_first);

}  // namespace finetune::cmaes
