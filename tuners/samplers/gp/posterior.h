// The Gaussian process given its observations: mean and variance at new points, their gradients, and fantasies for
// trials whose result is still to come (Snoek, Larochelle and Adams, Practical Bayesian Optimization, NeurIPS 2012,
// section 3.2).
#pragma once

#include <Eigen/Core>

#include "core/random.h"
#include "tuners/samplers/gp/kernel.h"

namespace finetune::gp {

/// At M points, under F fantasies: the variance is common to all of them.
struct Prediction {
  Eigen::MatrixXd mean_MF;
  Eigen::VectorXd variance_M;  ///< of the function, without noise; at least 0
  // Kept for gradients:
  Eigen::ArrayXXd slope_NM;  ///< derivative of the covariance by the squared distance
  Eigen::MatrixXd white_NM;  ///< inverse Cholesky factor x covariance with the observations
};

class Posterior {
 public:
  Posterior(Points points, const Eigen::VectorXd& y_N, Hyperparameters hyperparameters);

  /// Adds points without a value: each of `count` fantasies gives them values drawn together from the posterior.
  void imagine(const Eigen::MatrixXd& pending_QD, Eigen::Index count, Random random);

  Prediction predict(const Eigen::MatrixXd& x_MD, bool with_gradients = false) const;
  /// Gradients by the coordinates of x_MD, given derivatives by mean and variance. Categorical coordinates get 0.
  Eigen::MatrixXd gradient_MD(const Eigen::MatrixXd& x_MD, const Prediction& prediction,
                              const Eigen::MatrixXd& by_mean_MF, const Eigen::VectorXd& by_variance_M) const;

  const Eigen::MatrixXd& values_NF() const { return values_NF_; }  ///< observed and imagined
  const Hyperparameters& hyperparameters() const { return hyperparameters_; }
  const Points& points() const { return points_; }

 private:
  void factorise();
  Points points_;
  Hyperparameters hyperparameters_;
  Eigen::MatrixXd factor_NN_, inverse_factor_NN_;  // lower triangles
  Eigen::MatrixXd values_NF_, white_values_NF_;    // the second: inverse factor x values
};

}  // namespace finetune::gp
