// The configuration's `search` as the space that samplers work on.
#pragma once

#include "config/run_config.h"
#include "tuners/space/space.h"

namespace finetune {

/// Throws Error (bad_input) for a condition that never holds.
SearchSpace search_space(const RunConfig& config);

}  // namespace finetune
