// What verbs that play a study hand to it: progress, Ctrl-C and --trace-state.
#pragma once

#include <memory>

#include "cli/arguments.h"
#include "cli/progress.h"
#include "study/state_trace.h"

namespace finetune {

/// For --trace-state; null where it is not given. Throws Error for a file that cannot be made.
std::unique_ptr<StateTrace> open_trace(const Arguments& arguments);

/// `progress` and `trace`, which may be null, must be outlived.
StudyHooks study_hooks(Progress& progress, StateTrace* trace);

}  // namespace finetune
