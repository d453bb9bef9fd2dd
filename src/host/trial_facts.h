// What a report says of trials and of the search, from what the engine and the tuner know of them. Torch-free.
#pragma once

#include <vector>

#include "engine/study_state.h"
#include "report/facts.h"
#include "tuners/space/space.h"

namespace finetune {

/// Without its curves, which lie in the run's folder.
TrialFacts trial_facts(const Trial& trial);

/// The hyperparameters that made the trial's best weights, from step 0 on.
std::vector<ScheduleFact> schedule_facts(const Trial& trial);

std::vector<ParameterFacts> search_facts(const SearchSpace& space);

}  // namespace finetune
