// Which kinds of adapters the trials of a run may be, and which settings go together.
#pragma once

#include "config/run_config.h"

namespace finetune {

/// Whether some trial may have it: by what is searched, else by what is set.
bool some_trial_is_dora(const RunConfig& config);
bool some_trial_is_pissa(const RunConfig& config);

/// Throws Error (bad_input) naming keys that do not go together: DoRA or PiSSA with dropout, which would have to drop
/// from the base's input too, and DoRA with PiSSA.
void check_lora(const RunConfig& config);

}  // namespace finetune
