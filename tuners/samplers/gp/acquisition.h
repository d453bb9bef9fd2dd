// What the search maximises: log expected improvement averaged over fantasies, plus the log probability that the trial
// does not fail (Gardner et al., Bayesian Optimization with Inequality Constraints, ICML 2014).
#pragma once

#include <Eigen/Core>
#include <optional>

#include "tuners/samplers/gp/posterior.h"

namespace finetune::gp {

/// A process over labels of trials that ended well and that failed; a trial is good where it is above `threshold`.
struct Feasibility {
  Posterior posterior;
  double threshold;
};

class Acquisition {
 public:
  Acquisition(Posterior objective, std::optional<Feasibility> feasibility);

  /// Values at the rows of x_MD; gradients too unless null.
  Eigen::VectorXd operator()(const Eigen::MatrixXd& x_MD, Eigen::MatrixXd* gradient_MD = nullptr) const;
  /// Inverse length scales of the objective: the units in which it is about equally curved everywhere.
  Eigen::VectorXd inverse_lengths_D() const { return objective_.hyperparameters().weights_D.sqrt().matrix(); }

 private:
  void add_improvement(const Eigen::MatrixXd& x_MD, Eigen::VectorXd& value_M, Eigen::MatrixXd* gradient_MD) const;
  void add_feasibility(const Eigen::MatrixXd& x_MD, Eigen::VectorXd& value_M, Eigen::MatrixXd* gradient_MD) const;

  Posterior objective_;
  std::optional<Feasibility> feasibility_;
  Eigen::RowVectorXd best_F_;  // the highest value, imagined ones included
};

}  // namespace finetune::gp
