// Plays a study in its run's folder, whose run.yaml is written: the tuner, the lanes, everything that records it, its
// saves, and what it leaves at the end. `tune` begins one, `resume` goes on with one.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/session.h"
#include "host/hooks.h"
#include "report/summary.h"
#include "study/saves.h"

namespace finetune {

/// Everything of session.config is settled: tune.concurrent trials run side by side. `from`: the save to go on from.
StudySummary conduct(Session& session, const StudyHooks& hooks, const std::optional<SaveRow>& from);

}  // namespace finetune
