#include "host/compare/lora_curve.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace finetune {
namespace {

constexpr double kLeastDecay = 1e-4;  // below it weight decay does nothing, and its logarithm has no end

}  // namespace

LoraCurve::LoraCurve(std::uint64_t seed, std::int64_t trial, std::int64_t steps, bool noisy)
    : random_(seed * 1'000'003 + static_cast<std::uint64_t>(trial), Purpose::test),
      steps_(static_cast<double>(steps)),
      noisy_(noisy) {
  if (noisy_) offset_ = 0.004 * random_.normal();
}

double LoraCurve::step(const LoraSetting& setting) {
  ++t_;
  const double batch = setting.batch_size, warmup = setting.warmup_ratio, t = static_cast<double>(t_);
  double lr = setting.learning_rate;
  const double limit = 1.5e-3 * std::sqrt(batch / 16) * (1 + 5 * warmup);
  if (lr > limit && t >= 4 + 20 * limit / lr) learned_ = std::numeric_limits<double>::quiet_NaN();
  lr *= std::min(1.0, t / std::max(1.0, warmup * steps_));
  learned_ += std::pow(lr / 3e-4, 0.8) * std::pow(batch / 16, 0.25);
  unrest_ += 0.3 * (0.15 * (lr / 1e-3) * std::sqrt(16 / batch) - unrest_);
  const double overfit = 2e-4 * learned_ * std::sqrt(setting.rank / 16) * (1 - std::min(1.0, 4 * setting.dropout));
  const double log_rank = std::log2(setting.rank) - 5;
  const double log_decay = std::log10(std::max(setting.weight_decay, kLeastDecay)) + 2;
  const double loss = 1.6 + 1.2 * std::pow(1 + learned_ / 3, -0.6) + unrest_ + overfit + 0.01 * log_rank * log_rank +
                      setting.dropout * setting.dropout + 0.004 * log_decay * log_decay + offset_;
  return loss + (noisy_ ? 0.005 * random_.normal() : 0);
}

}  // namespace finetune
