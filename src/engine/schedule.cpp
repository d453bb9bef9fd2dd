#include "engine/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace finetune {

double schedule_multiplier(const TrainConfig& config, std::int64_t step) {
  const auto total = static_cast<double>(config.steps);
  const double warmup = std::ceil(config.warmup_ratio * total);
  const auto t = static_cast<double>(step - 1);
  if (t < warmup) return t / std::max(1.0, warmup);
  const double span = std::max(1.0, total - warmup);
  switch (config.schedule) {
    case RateSchedule::linear:
      return std::max(0.0, (total - t) / span);
    case RateSchedule::cosine:
      return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * (t - warmup) / span)));
    case RateSchedule::wsd: {
      const double decay = std::ceil(config.decay_ratio * total);
      return t < total - decay ? 1.0 : std::max(0.0, (total - t) / std::max(1.0, decay));
    }
    case RateSchedule::constant:
      break;
  }
  return 1.0;
}

std::int64_t last_step(const TrainConfig& config) {
  return config.stop_at.value_or(config.steps);
}

}  // namespace finetune
