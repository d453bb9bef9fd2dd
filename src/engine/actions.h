// Small decisions about actions, as free functions.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/trial.h"
#include "engine/lane.h"
#include "tuners/tuner.h"

namespace finetune {

/// Why a trial failed: what its lane says, or "loss is nan at step 12".
std::string failure_reason(const StepResult& step);

/// Asks the host program's callback and merges its actions into the tuner's: of two for one trial the stronger wins
/// (stop > pause > copy > change > resume). The tuner's books learn of what the callback decided.
void merge_callback(const std::function<void(std::span<const Report>, std::vector<Action>&)>& callback,
                    std::span<const Report> reports, Tuner& tuner, std::vector<Action>& actions);

}  // namespace finetune
