// Which keys and metrics go with train.objective.
#pragma once

#include "config/run_config.h"

namespace finetune {

/// Throws Error (bad_input) naming the key or metric that has no meaning with the objective.
void check_objective(const RunConfig& config);

}  // namespace finetune
