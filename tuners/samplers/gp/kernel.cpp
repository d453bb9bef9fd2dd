#include "tuners/samplers/gp/kernel.h"

namespace finetune::gp {

Eigen::ArrayXXd matern52(const Eigen::Ref<const Eigen::ArrayXXd>& d2) {
  const Eigen::ArrayXXd root = (5.0 * d2).sqrt();
  return (1.0 + root + (5.0 / 3.0) * d2) * (-root).exp();
}

Eigen::ArrayXXd matern52_slope(const Eigen::Ref<const Eigen::ArrayXXd>& d2) {
  const Eigen::ArrayXXd root = (5.0 * d2).sqrt();
  return (-5.0 / 6.0) * (1.0 + root) * (-root).exp();
}

Eigen::ArrayXXd squared_distances_NM(const Points& a, const Eigen::MatrixXd& b_MD, const Eigen::ArrayXd& weights_D) {
  Eigen::ArrayXXd d2_NM = Eigen::ArrayXXd::Zero(a.x_ND.rows(), b_MD.rows());
  for (Eigen::Index m = 0; m < b_MD.rows(); ++m) {
    for (Eigen::Index d = 0; d < b_MD.cols(); ++d) {
      const auto column_N = a.x_ND.col(d).array();
      const double b = b_MD(m, d), weight = weights_D(d);
      if (a.categorical[static_cast<std::size_t>(d)]) {
        d2_NM.col(m) += weight * (column_N != b).cast<double>();
      } else {
        d2_NM.col(m) += weight * (column_N - b).square();
      }
    }
  }
  return d2_NM;
}

}  // namespace finetune::gp
