// Hyperparameters by maximum a posteriori: marginal likelihood (Rasmussen and Williams, 2006, equations 5.8 and 5.9)
// plus the priors of Optuna 4.9's GPSampler, minimised over logarithms. For standardised observations.
#pragma once

#include <Eigen/Core>

#include "tuners/samplers/gp/kernel.h"

namespace finetune::gp {

constexpr double kLeastNoise = 1e-6;

/// Log density of the priors, constants left out: -0.1 (w + 1/w) for each weight, Gamma(2, rate 1) for the scale,
/// Gamma(1.1, rate 30) for the noise.
double log_prior(const Hyperparameters& h);

/// Negative log posterior of hyperparameters, constants left out, as a function of the logarithms of (weights, scale,
/// noise - kLeastNoise).
class MapLoss {
 public:
  MapLoss(const Points& points, Eigen::VectorXd y_N);

  /// Infinite where the covariance has no Cholesky factor. `gradient` may be null.
  double operator()(const Eigen::VectorXd& logs, Eigen::VectorXd* gradient) const;
  Eigen::Index dimensions() const { return differences_PD_.cols() + 2; }
  static Hyperparameters unpack(const Eigen::VectorXd& logs);

 private:
  Eigen::VectorXd y_N_;
  Eigen::MatrixXd differences_PD_;  // squared, of each pair of points below the diagonal, column after column
};

/// The minimum of MapLoss found from all ones. Of many observations only kMostFitted are used, spread evenly over their
/// ranks, and a fit of few points is where the fit of all starts: so the cost has a ceiling, and no fit depends on
/// an earlier one.
constexpr Eigen::Index kMostFitted = 96;
Hyperparameters fit(const Points& points, const Eigen::VectorXd& y_N);

}  // namespace finetune::gp
