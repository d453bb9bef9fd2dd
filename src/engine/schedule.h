// Learning-rate schedules (design contract, section 12), equal to transformers' get_scheduler for linear, cosine and
// constant_with_warmup.
#pragma once

#include <cstdint>

#include "config/run_config.h"

namespace finetune {

/// Multiplier of the learning rate at step s (1-based) of a horizon of `config.steps`. The first warm-up step has 0.
double schedule_multiplier(const TrainConfig& config, std::int64_t step);

/// The rate that step `step` uses.
inline double learning_rate_at(const TrainConfig& config, std::int64_t step) {
  return config.learning_rate * schedule_multiplier(config, step);
}

/// Steps that a trial runs when nobody stops it: stop_at where given, else steps.
std::int64_t last_step(const TrainConfig& config);

}  // namespace finetune
