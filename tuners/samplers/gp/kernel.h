// Matern 5/2 covariance with one length scale a dimension (Rasmussen and Williams, Gaussian Processes for Machine
// Learning, 2006, equations 4.17 and 5.2), over points whose categorical coordinates are at distance 0 or 1.
#pragma once

#include <Eigen/Core>
#include <vector>

namespace finetune::gp {

/// Rows are points, columns dimensions: numbers in [0, 1], or the index of a choice where categorical.
struct Points {
  Eigen::MatrixXd x_ND;
  std::vector<bool> categorical;  ///< one a dimension
};

struct Hyperparameters {
  Eigen::ArrayXd weights_D;  ///< inverse squared length scales
  double scale = 1;          ///< variance of the function
  double noise = 1;          ///< variance of an observation given the function
};

/// (1 + sqrt(5 d2) + 5/3 d2) exp(-sqrt(5 d2)) of squared distances.
Eigen::ArrayXXd matern52(const Eigen::Ref<const Eigen::ArrayXXd>& d2);
/// Its derivative by the squared distance, which is finite at 0.
Eigen::ArrayXXd matern52_slope(const Eigen::Ref<const Eigen::ArrayXXd>& d2);

/// Squared difference of two coordinates: 0 or 1 where categorical.
inline double squared_difference(double a, double b, bool categorical) {
  return categorical ? (a == b ? 0.0 : 1.0) : (a - b) * (a - b);
}

/// sum_d weights_d difference_d^2 between each row of `a` and each row of `b_MD`.
Eigen::ArrayXXd squared_distances_NM(const Points& a, const Eigen::MatrixXd& b_MD, const Eigen::ArrayXd& weights_D);

}  // namespace finetune::gp
