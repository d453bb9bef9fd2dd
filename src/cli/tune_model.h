// The whole of the verb `tune` for programs that embed the library: reads and checks everything, runs the study, leaves
// the run's folder (design contract, section 8). A host program adds its own rule through the hooks.
#pragma once

#include <functional>
#include <vector>

#include "config/config.h"
#include "engine/study.h"
#include "report/summary.h"

namespace finetune {

struct StudyHooks {
  /// Called on this thread after every round with the reports of all trials that stepped; may return actions. The
  /// stronger action of a trial wins over the scheduler's.
  StepCallback on_step;
  std::vector<StudyObserver*> observers;  ///< see everything, change nothing; must outlive the call
  std::function<bool()> stop;  ///< asked after each round: true ends the study with a report of what is there
};

/// Throws Error before anything is written when the configuration or the data cannot be used.
StudySummary tune_model(RunConfig config, const StudyHooks& hooks = {}, bool overwrite = false);

}  // namespace finetune
