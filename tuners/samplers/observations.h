// What a model-based sampler learns from: one value a trial, all taken at one step, so that they can be compared.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tuners/tuner.h"

namespace finetune {

struct Observation {
  const TrialRecord* trial;
  double value;  ///< minimised metric at Observations::step
};

/// Every trial is in exactly one list (of earlier studies those that cannot be compared at the step, though they came
/// past it, in none); each list is in id order. Pointers into the trials given.
struct Observations {
  std::int64_t step = 0;                    ///< 0 while nothing was observed
  std::vector<Observation> observed;        ///< have a value at `step`, whatever became of them since
  std::vector<const TrialRecord*> stopped;  ///< ended before `step`: worse than their cohort, not comparable
  std::vector<const TrialRecord*> pending;  ///< running or paused, without a value at `step` yet
  std::vector<const TrialRecord*> failed;   ///< diverged or broke
};

/// The step is the highest one at which at least `enough` trials have a value, or, when there is none, the one with the
/// most values, the higher of equals (Falkner et al., BOHB, ICML 2018, section 3.2: the model of the largest budget
/// with enough points).
Observations observe(std::span<const TrialRecord> trials, std::size_t enough);

}  // namespace finetune
