#include "tuners/schedulers/improvement_model.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace finetune {
namespace {

constexpr double kForget = 0.1;  // epsilon: the share of a function's variance that is new each round
const double kLogKept = std::log(1 - kForget);
constexpr double kClip = 2;
constexpr double kLengths[] = {0.1, 0.2, 0.4, 0.8};
constexpr double kNoises[] = {0.05, 0.3};  // variances, of standardised gains

double squared_distance(const ImprovementRow& a, const ImprovementRow& b) {
  double sum = (a.before - b.before) * (a.before - b.before);
  for (std::size_t i = 0; i < a.x.size(); ++i) sum += (a.x[i] - b.x[i]) * (a.x[i] - b.x[i]);
  return sum;
}

double kernel(const ImprovementRow& a, const ImprovementRow& b, double length) {
  const auto rounds = static_cast<double>(std::abs(a.round - b.round));
  return std::exp(kLogKept / 2 * rounds - squared_distance(a, b) / (2 * length * length));
}

Eigen::VectorXd standardised_gains(std::span<const ImprovementRow> rows) {
  std::map<std::int64_t, std::vector<std::size_t>> by_round;
  Eigen::VectorXd y = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].failed) {
      y[static_cast<Eigen::Index>(i)] = -kClip;
    } else {
      by_round[rows[i].round].push_back(i);
    }
  }
  for (const auto& [round, members] : by_round) {
    double mean = 0, squares = 0;
    for (const std::size_t i : members) mean += rows[i].gain / static_cast<double>(members.size());
    for (const std::size_t i : members) squares += (rows[i].gain - mean) * (rows[i].gain - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(members.size()));
    for (const std::size_t i : members) {
      if (deviation > 0) y[static_cast<Eigen::Index>(i)] = std::clamp((rows[i].gain - mean) / deviation, -kClip, kClip);
    }
  }
  return y;
}

}  // namespace

struct ImprovementModel::State {
  std::vector<ImprovementRow> rows;          // the observed ones, then the pending ones
  Eigen::VectorXd weights;                   // of the observed ones in the mean
  Eigen::LLT<Eigen::MatrixXd> mean, spread;  // of the observed ones, and of all
  double length = kLengths[0], noise = kNoises[0], kappa = 0;

  Eigen::MatrixXd covariance(std::size_t n, double at_length, double at_noise) const {
    const auto size = static_cast<Eigen::Index>(n);
    Eigen::MatrixXd k(size, size);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        const double value = kernel(rows[i], rows[j], at_length) + (i == j ? at_noise : 0);
        k(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)) = value;
        k(static_cast<Eigen::Index>(j), static_cast<Eigen::Index>(i)) = value;
      }
    }
    return k;
  }
};

ImprovementModel::ImprovementModel(std::span<const ImprovementRow> rows) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.rows.assign(rows.begin(), rows.end());
  s.kappa = std::sqrt(0.2 * std::max(0.0, std::log(0.4 * static_cast<double>(rows.size()))));
  const Eigen::VectorXd y = standardised_gains(rows);
  double best = -std::numeric_limits<double>::infinity();
  for (const double length : kLengths) {
    for (const double noise : kNoises) {
      const Eigen::LLT<Eigen::MatrixXd> factor(s.covariance(rows.size(), length, noise));
      const Eigen::VectorXd weights = factor.solve(y);
      const Eigen::MatrixXd lower = factor.matrixL();
      const double likelihood = -0.5 * y.dot(weights) - lower.diagonal().array().log().sum();
      if (likelihood <= best) continue;
      best = likelihood;
      s.length = length, s.noise = noise, s.weights = weights, s.mean = factor;
    }
  }
  s.spread = s.mean;
}

ImprovementModel::~ImprovementModel() = default;

double ImprovementModel::upper_bound(const ImprovementRow& row) const {
  const State& s = *state_;
  Eigen::VectorXd k(static_cast<Eigen::Index>(s.rows.size()));
  for (std::size_t i = 0; i < s.rows.size(); ++i) k[static_cast<Eigen::Index>(i)] = kernel(row, s.rows[i], s.length);
  const double mean = k.head(s.weights.size()).dot(s.weights);
  const double explained = s.spread.matrixL().solve(k).squaredNorm();
  return mean + s.kappa * std::sqrt(std::max(0.0, 1 - explained));
}

void ImprovementModel::add_pending(const ImprovementRow& row) {
  State& s = *state_;
  s.rows.push_back(row);
  s.spread = s.covariance(s.rows.size(), s.length, s.noise).llt();
}

}  // namespace finetune
