// The configuration's `search` as the space that samplers work on.
#pragma once

#include "config/run_config.h"
#include "tuners/space/space.h"

namespace finetune {

SearchSpace search_space(const RunConfig& config);

}  // namespace finetune
