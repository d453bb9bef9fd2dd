// Plays a run in its folder, whose run.yaml is written: tuner, lanes, everything that records it, its saves, and what
// it leaves at the end. The verb begins a run, `resume` goes on with one.
#pragma once

#include <optional>

#include "engine/session.h"
#include "host/hooks.h"
#include "host/past_trials.h"
#include "host/train.h"
#include "report/facts.h"
#include "study/saves.h"

namespace finetune {

/// What a run's study.db says it is.
constexpr const char *kTuneVerb = "tune", *kTrainVerb = "train";

/// Everything of session.config is settled: tune.concurrent trials run side by side. `past`: of tune.warm_start.
/// `from`: the save to go on from.
ReportFacts conduct_tune(Session& session, const StudyHooks& hooks, const PastTrials& past,
                         const std::optional<SaveRow>& from);

/// One trial, without a search (forget_search). Throws Error when training fails.
TrainResult conduct_train(Session& session, const StudyHooks& hooks, const std::optional<SaveRow>& from);

/// A run without a search: whatever the configuration says of one is left out.
void forget_search(RunConfig& config);

}  // namespace finetune
