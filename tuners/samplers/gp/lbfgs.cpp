#include "tuners/samplers/gp/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace finetune::gp {
namespace {

constexpr double kSufficientDecrease = 1e-4;  // Nocedal and Wright, section 3.1
constexpr int kMostShortenings = 25;

// 0 for coordinates that rest on a bound and would leave through it, 1 for the others.
Eigen::ArrayXd free_coordinates(const Eigen::VectorXd& x, const Eigen::VectorXd& gradient, const Eigen::VectorXd& lower,
                                const Eigen::VectorXd& upper) {
  const auto held_below = x.array() <= lower.array() && gradient.array() > 0;
  const auto held_above = x.array() >= upper.array() && gradient.array() < 0;
  return (held_below || held_above).select(Eigen::ArrayXd::Zero(x.size()), Eigen::ArrayXd::Ones(x.size()));
}

}  // namespace

Lbfgs::Lbfgs(const Eigen::VectorXd& start, Eigen::VectorXd lower, Eigen::VectorXd upper, LbfgsOptions options)
    : options_(options),
      lower_(std::move(lower)),
      upper_(std::move(upper)),
      x_(start.cwiseMax(lower_).cwiseMin(upper_)),
      trial_(x_),
      value_(std::numeric_limits<double>::infinity()) {}

void Lbfgs::tell(double value, const Eigen::VectorXd& gradient) {
  const bool usable = std::isfinite(value) && gradient.allFinite();
  if (!std::isfinite(value_)) {
    done_ = !usable;
    if (usable) accept(value, gradient);
    return;
  }
  const double slope = gradient_.dot(trial_ - x_);
  if (usable && value <= value_ + kSufficientDecrease * slope) return accept(value, gradient);
  // The parabola through both values and the slope says where to try next, within a tenth to a half of this step.
  const double fitted = usable && value > value_ + slope ? -slope / (2 * (value - value_ - slope)) : 0.1;
  length_ *= std::clamp(fitted, 0.1, 0.5);
  done_ = ++shortened_ > kMostShortenings;
  if (!done_) try_step();
}

void Lbfgs::accept(double value, const Eigen::VectorXd& gradient) {
  const double gain = value_ - value;
  if (std::isfinite(value_)) {
    ++iterations_;
    Pair pair{trial_ - x_, gradient - gradient_};
    if (pair.step.dot(pair.change) > 1e-12 * pair.change.squaredNorm()) pairs_.push_back(std::move(pair));
    if (pairs_.size() > static_cast<std::size_t>(options_.memory)) pairs_.pop_front();
  }
  x_ = trial_, value_ = value, gradient_ = gradient;
  done_ = iterations_ >= options_.max_iterations || gain <= options_.value_tolerance * std::max(1.0, std::abs(value));
  if (!done_) start_line();
}

void Lbfgs::start_line() {
  const Eigen::ArrayXd free = free_coordinates(x_, gradient_, lower_, upper_);
  const Eigen::VectorXd downhill = -(gradient_.array() * free).matrix();
  // How far the projected path of a unit gradient step leads: zero at a constrained minimum.
  const Eigen::VectorXd reach = (x_ + downhill).cwiseMax(lower_).cwiseMin(upper_) - x_;
  if (reach.size() == 0 || reach.lpNorm<Eigen::Infinity>() <= options_.gradient_tolerance) {
    done_ = true;
    return;
  }
  direction_ = direction(free);
  if (direction_.dot(gradient_) >= 0) {
    pairs_.clear();
    direction_ = downhill;
  }
  length_ = pairs_.empty() ? std::min(1.0, 1.0 / downhill.norm()) : 1.0;
  shortened_ = 0;
  try_step();
}

void Lbfgs::try_step() {
  trial_ = (x_ + length_ * direction_).cwiseMax(lower_).cwiseMin(upper_);
}

// The two-loop recursion, restricted to the free coordinates.
Eigen::VectorXd Lbfgs::direction(const Eigen::ArrayXd& free) const {
  Eigen::VectorXd q = -(gradient_.array() * free).matrix();
  std::vector<double> curvature(pairs_.size()), weight(pairs_.size());
  double scale = 1;
  for (std::size_t i = pairs_.size(); i-- > 0;) {
    const Eigen::VectorXd change = (pairs_[i].change.array() * free).matrix();
    curvature[i] = pairs_[i].step.dot(change);
    if (curvature[i] <= 1e-12 * change.squaredNorm()) {
      curvature[i] = 0;  // says nothing about the free coordinates
      continue;
    }
    if (scale == 1) scale = curvature[i] / change.squaredNorm();
    weight[i] = pairs_[i].step.dot(q) / curvature[i];
    q -= weight[i] * change;
  }
  q *= scale;
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    if (curvature[i] == 0) continue;
    const double correction = weight[i] - (pairs_[i].change.array() * free).matrix().dot(q) / curvature[i];
    q += correction * (pairs_[i].step.array() * free).matrix();
  }
  return q;
}

}  // namespace finetune::gp
