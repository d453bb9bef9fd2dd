// How long a run takes: what its rounds compute, times what the lanes cost.
#pragma once

#include <cstdint>

#include "engine/measure.h"
#include "engine/pack_data.h"
#include "engine/session.h"

namespace finetune {

/// One step of `trials` trials on one lane, each with this batch.
RoundWork planned_work(const Session& session, const Batch& batch, std::int64_t trials);

/// A step of `trials` trials on one lane, on average over the steps of the run.
RoundWork average_round(const Session& session, std::int64_t trials);

/// One step of `resident` trials spread over the session's lanes.
double round_seconds(const Session& session, const LaneCosts& costs, std::int64_t resident);

/// What set_references takes (reference.h).
double reference_seconds(const Session& session, const LaneCosts& costs);

/// One validation of `resident` trials.
double evaluation_seconds(const Session& session, const LaneCosts& costs, std::int64_t resident);

/// What evaluators ask of `resident` trials once, where every text has all its tokens.
double task_seconds(const Session& session, const LaneCosts& costs, std::int64_t resident);

/// How often a trial is evaluated: its losses, and what evaluators measure.
struct Evaluations {
  std::int64_t losses = 0, tasks = 0;
};

/// All `trials` trials (parts of one included) to the end (nobody stopped), each evaluated so often, and,
/// `with_baselines`, the base evaluated and the default configuration trained beside them.
double run_seconds(const Session& session, const LaneCosts& costs, double trials, std::int64_t resident,
                   const Evaluations& evaluations, bool with_baselines);

}  // namespace finetune
