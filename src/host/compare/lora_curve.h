// A LoRA sweep in numbers: the validation loss of a run that nobody has to train. What has been learned so far, the
// noise that the learning rate keeps up, over-fitting, and divergence above a limit that grows with batch and warm-up.
#pragma once

#include <cstdint>

#include "core/random.h"

namespace finetune {

/// What the curve depends on; named and scaled as the keys of `train`.
struct LoraSetting {
  double learning_rate = 3e-4, rank = 16, batch_size = 16, warmup_ratio = 0.03, dropout = 0, weight_decay = 0.01;
};

/// One run. A copy of it is a copy of its weights; the setting may change from step to step.
class LoraCurve {
 public:
  /// `steps`: length of a full run, of which warm-up takes its share. The noise is that of (seed, trial).
  LoraCurve(std::uint64_t seed, std::int64_t trial, std::int64_t steps, bool noisy = true);
  double step(const LoraSetting& setting);  ///< validation loss after one more step; NaN once diverged

 private:
  Random random_;
  double steps_;
  bool noisy_;
  std::int64_t t_ = 0;
  double learned_ = 0, unrest_ = 0, offset_ = 0;
};

}  // namespace finetune
