// The run that scheduler `replay` follows: tune.scheduler: {name: replay, run: DIR, trial: N} becomes the schedule of
// that trial and the values that it began with.
#pragma once

#include "config/run_config.h"

namespace finetune {

/// Where the scheduler is replay with `run`: reads DIR/trials/NNNNNN/schedule.json (or, of a trial that never changed,
/// trial.json), by default of the best trial. Puts the changes into the option `schedule`, the first values before
/// tune.enqueue, once for every trial, and drops `start` values. Where nothing is searched, the run's own search is;
/// unless given, tune.trials becomes 1. Anything else is left as it is. Throws Error (bad_input) naming the file that
/// is missing or damaged.
void resolve_replay(RunConfig& config);

}  // namespace finetune
