// tune.warm_start: what trials of past studies say to the sampler of this one. Each counts as if this study had run it
// before its own: a complete trial to its full budget, a pruned one to its last intermediate value. What cannot be used
// is counted and said.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "study/past_study.h"
#include "tuners/space/space.h"
#include "tuners/tuner.h"

namespace finetune {

/// What a past study is held against.
struct WarmStartFacts {
  SearchSpace space;
  Direction direction = Direction::minimize;
  std::string metric;  ///< "" where values are whatever an outside program measures
  std::string model;   ///< the checkpoint, absolute; "" where none is known
};

struct WarmStudy {
  std::vector<PastTrial> trials;   ///< the usable ones; parameters are those of the space that are active, in its order
  std::int64_t full_step = 1;      ///< the step at which its complete trials ended
  std::vector<std::string> lines;  ///< what is to be said: how many are used, why others are not, what is assumed
};

/// Used are complete trials with a finite value and pruned ones, in both cases with every active parameter of the space
/// within its range or choices. Failed and unfinished trials are left out, as everything of theirs that is not searched
/// here. Throws Error (bad_input) naming the source where the direction is another, or where no trial can be used.
WarmStudy warm_study(const PastStudy& past, const WarmStartFacts& facts);

/// As a sampler sees them: ids -n .. -1 in the order given, values minimised, steps of each study scaled so that its
/// full budget is `max_steps`.
std::vector<TrialRecord> past_records(std::span<const WarmStudy> studies, Direction direction, std::int64_t max_steps);

}  // namespace finetune
