#include "tuners/samplers/gp/fit.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "tuners/samplers/gp/lbfgs.h"

namespace finetune::gp {
namespace {

constexpr Eigen::Index kFewPoints = 48;
constexpr double kLogBound = 14;  // e^14 = 1.2e6 either way: the priors hold everything far inside
constexpr LbfgsOptions kSearch{.max_iterations = 100, .gradient_tolerance = 1e-2, .value_tolerance = 1e-4};

// The gradient of log_prior by the logarithms of weights, scale and noise.
Eigen::VectorXd prior_gradient(const Hyperparameters& h) {
  Eigen::VectorXd gradient(h.weights_D.size() + 2);
  gradient << (0.1 / h.weights_D - 0.1 * h.weights_D).matrix(), 1.0 - h.scale, 0.1 - 30 * h.noise;
  return gradient;
}

// Fills the lower triangle, diagonal apart, from a list of its columns.
Eigen::MatrixXd triangle(const Eigen::ArrayXd& pairs_P, double diagonal, Eigen::Index n) {
  Eigen::MatrixXd matrix = Eigen::MatrixXd::Constant(n, n, diagonal);
  for (Eigen::Index column = 0, at = 0; column < n; ++column) {
    const Eigen::Index below = n - 1 - column;
    matrix.col(column).tail(below) = pairs_P.segment(at, below).matrix();
    at += below;
  }
  return matrix;
}

Eigen::ArrayXd pairs_of(const Eigen::MatrixXd& matrix) {
  const Eigen::Index n = matrix.rows();
  Eigen::ArrayXd pairs_P(n * (n - 1) / 2);
  for (Eigen::Index column = 0, at = 0; column < n; ++column) {
    const Eigen::Index below = n - 1 - column;
    pairs_P.segment(at, below) = matrix.col(column).tail(below).array();
    at += below;
  }
  return pairs_P;
}

// `count` of the points, evenly spaced in rank, best and worst among them.
std::pair<Points, Eigen::VectorXd> thin(const Points& points, const Eigen::VectorXd& y_N, Eigen::Index count) {
  std::vector<Eigen::Index> order(static_cast<std::size_t>(y_N.size()));
  std::iota(order.begin(), order.end(), Eigen::Index{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return y_N(a) < y_N(b); });
  Points few{Eigen::MatrixXd(count, points.x_ND.cols()), points.categorical};
  Eigen::VectorXd values(count);
  for (Eigen::Index i = 0; i < count; ++i) {
    const auto from = order[static_cast<std::size_t>(i * (y_N.size() - 1) / (count - 1))];
    few.x_ND.row(i) = points.x_ND.row(from);
    values(i) = y_N(from);
  }
  return {std::move(few), std::move(values)};
}

Eigen::VectorXd minimise(const MapLoss& loss, const Eigen::VectorXd& start) {
  const Eigen::VectorXd bound = Eigen::VectorXd::Constant(start.size(), kLogBound);
  Lbfgs run(start, -bound, bound, kSearch);
  Eigen::VectorXd gradient = start;
  while (!run.done()) {
    const double value = loss(run.point(), &gradient);
    run.tell(value, gradient);
  }
  return run.best();
}

}  // namespace

double log_prior(const Hyperparameters& h) {
  return -0.1 * (h.weights_D + h.weights_D.inverse()).sum() + std::log(h.scale) - h.scale + 0.1 * std::log(h.noise) -
         30 * h.noise;
}

MapLoss::MapLoss(const Points& points, Eigen::VectorXd y_N) : y_N_(std::move(y_N)) {
  const Eigen::Index n = points.x_ND.rows();
  differences_PD_.resize(n * (n - 1) / 2, points.x_ND.cols());
  for (Eigen::Index d = 0; d < points.x_ND.cols(); ++d) {
    for (Eigen::Index j = 0, at = 0; j < n; ++j) {
      for (Eigen::Index i = j + 1; i < n; ++i) {
        differences_PD_(at++, d) =
            squared_difference(points.x_ND(i, d), points.x_ND(j, d), points.categorical[static_cast<std::size_t>(d)]);
      }
    }
  }
}

Hyperparameters MapLoss::unpack(const Eigen::VectorXd& logs) {
  const Eigen::Index d = logs.size() - 2;
  return {logs.head(d).array().exp(), std::exp(logs(d)), std::exp(logs(d + 1)) + kLeastNoise};
}

double MapLoss::operator()(const Eigen::VectorXd& logs, Eigen::VectorXd* gradient) const {
  const Hyperparameters h = unpack(logs);
  const Eigen::Index n = y_N_.size(), d = h.weights_D.size();
  const Eigen::ArrayXd d2_P = (differences_PD_ * h.weights_D.matrix()).array();
  const Eigen::ArrayXd kernel_P = h.scale * matern52(d2_P);
  const Eigen::LLT<Eigen::MatrixXd> factor(triangle(kernel_P, h.scale + h.noise, n));
  if (factor.info() != Eigen::Success) return std::numeric_limits<double>::infinity();
  const Eigen::VectorXd alpha_N = factor.solve(y_N_);
  const double log_determinant = 2 * factor.matrixLLT().diagonal().array().log().sum();
  const double log_likelihood = -0.5 * (log_determinant + y_N_.dot(alpha_N));
  if (gradient != nullptr) {
    // d log likelihood / dK = (alpha alpha' - inverse) / 2; a pair stands for two entries of the matrix.
    Eigen::MatrixXd inverse_factor = Eigen::MatrixXd::Identity(n, n);
    factor.matrixL().solveInPlace(inverse_factor);
    Eigen::MatrixXd by_kernel = Eigen::MatrixXd::Zero(n, n);
    by_kernel.selfadjointView<Eigen::Lower>().rankUpdate(inverse_factor.transpose(), -1);
    by_kernel.selfadjointView<Eigen::Lower>().rankUpdate(alpha_N);
    const Eigen::ArrayXd by_kernel_P = pairs_of(by_kernel);
    const double trace = by_kernel.trace();
    const Eigen::ArrayXd by_distance_P = by_kernel_P * h.scale * matern52_slope(d2_P).col(0);
    const Eigen::ArrayXd by_weights_D = (differences_PD_.transpose() * by_distance_P.matrix()).array();
    gradient->resize(d + 2);
    *gradient << (by_weights_D * h.weights_D).matrix(), (by_kernel_P * kernel_P).sum() + 0.5 * trace * h.scale,
        0.5 * trace * (h.noise - kLeastNoise);
    Eigen::VectorXd prior = prior_gradient(h);
    prior(d + 1) *= (h.noise - kLeastNoise) / h.noise;
    *gradient = -(*gradient + prior);
  }
  return -log_likelihood - log_prior(h);
}

Hyperparameters fit(const Points& points, const Eigen::VectorXd& y_N) {
  if (y_N.size() > kMostFitted) {
    const auto [some, values] = thin(points, y_N, kMostFitted);
    return fit(some, values);
  }
  Eigen::VectorXd logs = Eigen::VectorXd::Zero(points.x_ND.cols() + 2);
  if (y_N.size() > kFewPoints) {
    const auto [few, values] = thin(points, y_N, kFewPoints);
    logs = minimise(MapLoss(few, values), logs);
  }
  return MapLoss::unpack(minimise(MapLoss(points, y_N), logs));
}

}  // namespace finetune::gp
