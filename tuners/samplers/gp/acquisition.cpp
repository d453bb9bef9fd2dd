#include "tuners/samplers/gp/acquisition.h"

#include <cmath>
#include <utility>
#include <vector>

#include "tuners/samplers/gp/log_ei.h"

namespace finetune::gp {
namespace {

constexpr double kLeastVariance = 1e-12;  // keeps the logarithm finite at points already observed

// log of the mean of exp(values), and each value's share of it in `share`.
double log_mean_exp(const std::vector<Scored>& scores, std::vector<double>& share) {
  double highest = scores[0].value, sum = 0;
  for (const Scored& score : scores) highest = std::max(highest, score.value);
  for (std::size_t f = 0; f < scores.size(); ++f) sum += share[f] = std::exp(scores[f].value - highest);
  for (double& part : share) part /= sum;
  return highest + std::log(sum / static_cast<double>(scores.size()));
}

}  // namespace

Acquisition::Acquisition(Posterior objective, std::optional<Feasibility> feasibility)
    : objective_(std::move(objective)),
      feasibility_(std::move(feasibility)),
      best_F_(objective_.values_NF().colwise().maxCoeff()) {}

Eigen::VectorXd Acquisition::operator()(const Eigen::MatrixXd& x_MD, Eigen::MatrixXd* gradient_MD) const {
  Eigen::VectorXd value_M = Eigen::VectorXd::Zero(x_MD.rows());
  if (gradient_MD != nullptr) *gradient_MD = Eigen::MatrixXd::Zero(x_MD.rows(), x_MD.cols());
  add_improvement(x_MD, value_M, gradient_MD);
  if (feasibility_) add_feasibility(x_MD, value_M, gradient_MD);
  return value_M;
}

void Acquisition::add_improvement(const Eigen::MatrixXd& x_MD, Eigen::VectorXd& value_M,
                                  Eigen::MatrixXd* gradient_MD) const {
  const Prediction at = objective_.predict(x_MD, gradient_MD != nullptr);
  const auto fantasies = static_cast<std::size_t>(best_F_.size());
  Eigen::MatrixXd by_mean_MF(x_MD.rows(), best_F_.size());
  Eigen::VectorXd by_variance_M = Eigen::VectorXd::Zero(x_MD.rows());
  std::vector<Scored> scores(fantasies);
  std::vector<double> share(fantasies);
  for (Eigen::Index m = 0; m < x_MD.rows(); ++m) {
    for (Eigen::Index f = 0; f < best_F_.size(); ++f) {
      scores[static_cast<std::size_t>(f)] = log_ei(at.mean_MF(m, f), at.variance_M(m) + kLeastVariance, best_F_(f));
    }
    value_M(m) += log_mean_exp(scores, share);
    for (std::size_t f = 0; f < fantasies; ++f) {
      by_mean_MF(m, static_cast<Eigen::Index>(f)) = share[f] * scores[f].by_mean;
      by_variance_M(m) += share[f] * scores[f].by_variance;
    }
  }
  if (gradient_MD != nullptr) *gradient_MD += objective_.gradient_MD(x_MD, at, by_mean_MF, by_variance_M);
}

void Acquisition::add_feasibility(const Eigen::MatrixXd& x_MD, Eigen::VectorXd& value_M,
                                  Eigen::MatrixXd* gradient_MD) const {
  const Posterior& posterior = feasibility_->posterior;
  const Prediction at = posterior.predict(x_MD, gradient_MD != nullptr);
  Eigen::MatrixXd by_mean_M1(x_MD.rows(), 1);
  Eigen::VectorXd by_variance_M(x_MD.rows());
  for (Eigen::Index m = 0; m < x_MD.rows(); ++m) {
    const Scored score =
        log_probability_above(at.mean_MF(m, 0), at.variance_M(m) + kLeastVariance, feasibility_->threshold);
    value_M(m) += score.value;
    by_mean_M1(m, 0) = score.by_mean, by_variance_M(m) = score.by_variance;
  }
  if (gradient_MD != nullptr) *gradient_MD += posterior.gradient_MD(x_MD, at, by_mean_M1, by_variance_M);
}

}  // namespace finetune::gp
