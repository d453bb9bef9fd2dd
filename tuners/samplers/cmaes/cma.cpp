#include "tuners/samplers/cmaes/cma.h"

#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>

namespace finetune::cmaes {
namespace {

// Guards a division by a squared length and replaces eigenvalues that rounding made negative.
constexpr double kTiny = 1e-8;

Eigen::VectorXd raw_weights(Eigen::Index population) {
  Eigen::VectorXd weights_L(population);
  for (Eigen::Index i = 0; i < population; ++i) {
    weights_L[i] = std::log((static_cast<double>(population) + 1) / 2) - std::log(static_cast<double>(i) + 1);
  }
  return weights_L;
}

double effective(const Eigen::VectorXd& weights) {
  return weights.sum() * weights.sum() / weights.squaredNorm();
}

// Equations 50 to 53: negative weights sum to at most what keeps the covariance positive definite.
Eigen::VectorXd scaled_weights(const Eigen::VectorXd& raw_L, const Constants& c, double n) {
  const double others_effective = effective(raw_L.tail(raw_L.size() - c.parents));
  const double negative = std::min(
      {1 + c.c_1 / c.c_mu, 1 + 2 * others_effective / (c.parents_effective + 2), (1 - c.c_1 - c.c_mu) / (n * c.c_mu)});
  const double up = raw_L.cwiseMax(0).sum(), down = -raw_L.cwiseMin(0).sum();
  return raw_L.unaryExpr([&](double w) { return w >= 0 ? w / up : w * negative / down; });
}

Eigen::VectorXd whitened(const Axes& axes, const Eigen::VectorXd& y_N) {
  return axes.vectors_NN * (axes.vectors_NN.transpose() * y_N).cwiseQuotient(axes.lengths_N);
}

}  // namespace

Eigen::Index default_population(Eigen::Index parameters) {
  return 4 + static_cast<Eigen::Index>(3 * std::log(static_cast<double>(parameters)));
}

Constants constants(Eigen::Index parameters, Eigen::Index population) {
  const auto n = static_cast<double>(parameters);
  const Eigen::VectorXd raw_L = raw_weights(population);
  Constants c;
  c.parents = population / 2;
  const double mu = c.parents_effective = effective(raw_L.head(c.parents));
  c.c_1 = 2 / ((n + 1.3) * (n + 1.3) + mu);
  c.c_mu = std::min(1 - c.c_1 - 1e-8, 2 * (mu - 2 + 1 / mu) / ((n + 2) * (n + 2) + mu));
  c.weights_L = scaled_weights(raw_L, c, n);
  c.c_sigma = (mu + 2) / (n + mu + 5);
  c.d_sigma = 1 + 2 * std::max(0.0, std::sqrt((mu - 1) / (n + 1)) - 1) + c.c_sigma;
  c.c_c = (4 + mu / n) / (n + 4 + 2 * mu / n);
  c.expected_norm = std::sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));
  return c;
}

Distribution start(const Eigen::VectorXd& mean_N, double sigma) {
  return start(mean_N, sigma, Eigen::MatrixXd::Identity(mean_N.size(), mean_N.size()));
}

Distribution start(const Eigen::VectorXd& mean_N, double sigma, const Eigen::MatrixXd& covariance_NN) {
  const Eigen::VectorXd zero_N = Eigen::VectorXd::Zero(mean_N.size());
  return {mean_N, sigma, covariance_NN, zero_N, zero_N, 0};
}

Axes axes_of(const Eigen::MatrixXd& covariance_NN) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver((covariance_NN + covariance_NN.transpose()) / 2);
  const auto length = [](double square) { return std::sqrt(square > 0 ? square : kTiny); };
  return {solver.eigenvectors(), solver.eigenvalues().unaryExpr(length)};
}

Eigen::VectorXd draw(const Distribution& distribution, const Axes& axes, Random& random) {
  Eigen::VectorXd z_N(distribution.mean_N.size());
  for (double& z : z_N) z = random.normal();
  // With vectors^T the draw turns with the parameters' own axes: it does not depend on the signs a solver chose.
  const Eigen::VectorXd y_N = axes.vectors_NN * axes.lengths_N.cwiseProduct(axes.vectors_NN.transpose() * z_N);
  return distribution.mean_N + distribution.sigma * y_N;
}

Distribution update(const Distribution& before, const Axes& axes, const Constants& c,
                    const std::vector<Eigen::VectorXd>& best_first) {
  const auto n = static_cast<double>(before.mean_N.size());
  const auto population = static_cast<Eigen::Index>(best_first.size());
  Eigen::MatrixXd y_NL(before.mean_N.size(), population);
  for (Eigen::Index i = 0; i < population; ++i) {
    y_NL.col(i) = (best_first[static_cast<std::size_t>(i)] - before.mean_N) / before.sigma;
  }
  const Eigen::VectorXd step_N = y_NL.leftCols(c.parents) * c.weights_L.head(c.parents);  // equation 41

  Distribution after = before;
  ++after.generation;
  after.mean_N += before.sigma * step_N;

  after.path_sigma_N = (1 - c.c_sigma) * before.path_sigma_N +
                       std::sqrt(c.c_sigma * (2 - c.c_sigma) * c.parents_effective) * whitened(axes, step_N);
  const double norm = after.path_sigma_N.norm();
  after.sigma *= std::exp(c.c_sigma / c.d_sigma * (norm / c.expected_norm - 1));

  // The path stalls while the step size grows fast, lest the covariance grow along with it (page 28).
  const double settled = std::sqrt(1 - std::pow(1 - c.c_sigma, 2 * static_cast<double>(after.generation)));
  const double h = norm / settled < (1.4 + 2 / (n + 1)) * c.expected_norm ? 1 : 0;
  after.path_c_N =
      (1 - c.c_c) * before.path_c_N + h * std::sqrt(c.c_c * (2 - c.c_c) * c.parents_effective) * step_N;  // 45

  after.covariance_NN *= 1 + c.c_1 * (1 - h) * c.c_c * (2 - c.c_c) - c.c_1 - c.c_mu * c.weights_L.sum();
  after.covariance_NN += c.c_1 * after.path_c_N * after.path_c_N.transpose();
  for (Eigen::Index i = 0; i < population; ++i) {
    double weight = c.weights_L[i];
    if (weight < 0) weight *= n / (whitened(axes, y_NL.col(i)).squaredNorm() + kTiny);  // equation 46
    after.covariance_NN += c.c_mu * weight * y_NL.col(i) * y_NL.col(i).transpose();     // equation 47
  }
  return after;
}

Eigen::VectorXd injected(const Distribution& distribution, const Axes& axes, const Eigen::VectorXd& point_N) {
  const auto n = static_cast<double>(point_N.size());
  const Eigen::VectorXd offset_N = point_N - distribution.mean_N;
  const double deviations = whitened(axes, offset_N).norm() / distribution.sigma;
  const double most = std::sqrt(n) + 2 * n / (n + 2);
  return distribution.mean_N + offset_N * std::min(1.0, most / std::max(deviations, kTiny));
}

Distribution warm_start(const std::vector<Eigen::VectorXd>& best_first) {
  constexpr double kSmoothing = 0.1;  // alpha
  const std::size_t count = best_first.size() / 10;
  const Eigen::Index n = best_first[0].size();
  Eigen::VectorXd mean_N = Eigen::VectorXd::Zero(n);
  for (std::size_t i = 0; i < count; ++i) mean_N += best_first[i] / static_cast<double>(count);
  Eigen::MatrixXd covariance_NN = kSmoothing * kSmoothing * Eigen::MatrixXd::Identity(n, n);
  for (std::size_t i = 0; i < count; ++i) {
    const Eigen::VectorXd offset_N = best_first[i] - mean_N;
    covariance_NN += offset_N * offset_N.transpose() / static_cast<double>(count);
  }
  const double volume = std::pow(covariance_NN.determinant(), 1 / static_cast<double>(n));
  return start(mean_N, std::sqrt(volume), covariance_NN / volume);
}

}  // namespace finetune::cmaes
