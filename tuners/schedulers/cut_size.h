// Where `cut` cuts, and how many trials a budget allows it.
#pragma once

#include <cstdint>

namespace finetune {

/// The step at which trials wait: `share` of the steps, rounded up, but not before `first_look`. At max_steps or past
/// it there is no cut.
std::int64_t cut_step(double share, std::int64_t max_steps, std::int64_t first_look);

/// How many trials can come to the cut, and `keep` of them to the end (fewer where the budget has no room for as many),
/// with `budget` steps in all; at least 1.
std::int64_t cut_trials(std::int64_t budget, std::int64_t cut, std::int64_t max_steps, std::int64_t keep);

}  // namespace finetune
