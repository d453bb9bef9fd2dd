// Goes on with a study that was interrupted, killed or cut off, from its last save.
#pragma once

#include <optional>
#include <string>

#include "host/hooks.h"
#include "host/train.h"
#include "report/facts.h"

namespace finetune {

struct ResumeOptions {
  bool elsewhere = false;  ///< also on another kind of processor, where the last bits may differ
  MemoryFiles memory;      ///< of the program that embeds this one, where the run was begun with some
};

/// What a run left: of `tune` or of `train`. Neither where a run of `train` was complete before.
struct Resumed {
  std::optional<ReportFacts> study;
  std::optional<TrainResult> trained;
};

/// `folder` is the run's, or a copy of it. Everything but times ends as if nothing had happened. A host program that
/// gave tune() or train() an on_step gives the same one here; what that remembers is its own affair. A run that is
/// complete is left as it is. Relative paths in run.yaml are those of the folder that the run was begun in, which
/// becomes the working directory. Throws Error (bad_input) naming what is missing, damaged or no longer what it was.
Resumed resume(const std::string& folder, const StudyHooks& hooks, const ResumeOptions& options);

}  // namespace finetune
