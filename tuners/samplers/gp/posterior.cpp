#include "tuners/samplers/gp/posterior.h"

#include <Eigen/Cholesky>
#include <utility>

namespace finetune::gp {

Posterior::Posterior(Points points, const Eigen::VectorXd& y_N, Hyperparameters hyperparameters)
    : points_(std::move(points)), hyperparameters_(std::move(hyperparameters)), values_NF_(y_N) {
  factorise();
  white_values_NF_ = inverse_factor_NN_.triangularView<Eigen::Lower>() * values_NF_;
}

void Posterior::factorise() {
  const Eigen::Index n = points_.x_ND.rows();
  const Eigen::MatrixXd kernel_NN =
      hyperparameters_.scale *
      matern52(squared_distances_NM(points_, points_.x_ND, hyperparameters_.weights_D)).matrix();
  Eigen::LLT<Eigen::MatrixXd> factor;
  // Rounding can make a matrix of near-equal rows indefinite; a little more noise always mends it.
  for (double noise = hyperparameters_.noise;; noise *= 10) {
    factor.compute(kernel_NN + noise * Eigen::MatrixXd::Identity(n, n));
    if (factor.info() == Eigen::Success) break;
  }
  factor_NN_ = factor.matrixL();
  inverse_factor_NN_ = Eigen::MatrixXd::Identity(n, n);
  factor_NN_.triangularView<Eigen::Lower>().solveInPlace(inverse_factor_NN_);
}

void Posterior::imagine(const Eigen::MatrixXd& pending_QD, Eigen::Index count, Random random) {
  const Eigen::Index n = points_.x_ND.rows(), q = pending_QD.rows();
  Points all{Eigen::MatrixXd(n + q, points_.x_ND.cols()), points_.categorical};
  all.x_ND << points_.x_ND, pending_QD;
  points_ = std::move(all);
  factorise();
  // Values are factor x white: what was observed keeps its white part, what is imagined gets standard normal numbers.
  Eigen::MatrixXd white_NF(n + q, count);
  white_NF.topRows(n) = white_values_NF_.col(0).replicate(1, count);
  for (Eigen::Index f = 0; f < count; ++f) {
    for (Eigen::Index i = n; i < n + q; ++i) white_NF(i, f) = random.normal();
  }
  white_values_NF_ = std::move(white_NF);
  values_NF_ = factor_NN_.triangularView<Eigen::Lower>() * white_values_NF_;
}

Prediction Posterior::predict(const Eigen::MatrixXd& x_MD, bool with_gradients) const {
  const Eigen::ArrayXXd d2_NM = squared_distances_NM(points_, x_MD, hyperparameters_.weights_D);
  Prediction prediction;
  prediction.white_NM =
      inverse_factor_NN_.triangularView<Eigen::Lower>() * (hyperparameters_.scale * matern52(d2_NM)).matrix();
  prediction.mean_MF = prediction.white_NM.transpose() * white_values_NF_;
  prediction.variance_M =
      (hyperparameters_.scale - prediction.white_NM.colwise().squaredNorm().transpose().array()).cwiseMax(0.0);
  if (with_gradients) prediction.slope_NM = hyperparameters_.scale * matern52_slope(d2_NM);
  return prediction;
}

Eigen::MatrixXd Posterior::gradient_MD(const Eigen::MatrixXd& x_MD, const Prediction& prediction,
                                       const Eigen::MatrixXd& by_mean_MF, const Eigen::VectorXd& by_variance_M) const {
  // mean = white' white_values and variance = scale - white' white, with white = inverse factor x covariance.
  const Eigen::MatrixXd by_white_NM =
      white_values_NF_ * by_mean_MF.transpose() - 2 * prediction.white_NM * by_variance_M.asDiagonal();
  const Eigen::MatrixXd by_covariance_NM = inverse_factor_NN_.transpose().triangularView<Eigen::Upper>() * by_white_NM;
  const Eigen::ArrayXXd by_distance_NM = by_covariance_NM.array() * prediction.slope_NM;
  Eigen::MatrixXd gradient_MD = Eigen::MatrixXd::Zero(x_MD.rows(), x_MD.cols());
  for (Eigen::Index d = 0; d < x_MD.cols(); ++d) {
    if (points_.categorical[static_cast<std::size_t>(d)]) continue;
    for (Eigen::Index m = 0; m < x_MD.rows(); ++m) {
      const auto away_N = x_MD(m, d) - points_.x_ND.col(d).array();
      gradient_MD(m, d) = 2 * hyperparameters_.weights_D(d) * (by_distance_NM.col(m) * away_N).sum();
    }
  }
  return gradient_MD;
}

}  // namespace finetune::gp
