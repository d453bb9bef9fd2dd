// The library's entry: tune() is the whole of the verb `tune` for programs that embed it: reads and checks everything,
// runs the study, leaves the run's folder (design contract, section 8). A host program adds its own rule through the
// hooks. Beside it: train() in host/train.h, compare() in host/compare.h.
#pragma once

#include "config/config.h"
#include "host/hooks.h"
#include "report/facts.h"

namespace finetune {

/// `config` as load_config gives it. A study in which every trial failed (all_failed) has no best and leaves no
/// weights. Throws Error before anything is written when the configuration or the data cannot be used. With `overwrite`
/// what is in run.out goes first; else a folder with something in it is refused.
ReportFacts tune(RunConfig config, const StudyHooks& hooks = {}, bool overwrite = false);

}  // namespace finetune
