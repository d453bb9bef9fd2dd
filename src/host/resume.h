// Goes on with a study that was interrupted, killed or cut off, from its last save.
#pragma once

#include <string>

#include "host/hooks.h"
#include "report/summary.h"

namespace finetune {

struct ResumeOptions {
  bool elsewhere = false;  ///< also on another kind of processor, where the last bits may differ
};

/// `folder` is the run's, or a copy of it. Everything but times ends as if nothing had happened. A host program that
/// gave tune() an on_step gives the same one here. A study that is complete is left as it is: its summary is read back.
/// Relative paths in run.yaml are those of the folder that the run was begun in, which becomes the working directory.
/// Throws Error (bad_input) naming what is missing, damaged or no longer what it was.
StudySummary resume(const std::string& folder, const StudyHooks& hooks, const ResumeOptions& options);

}  // namespace finetune
