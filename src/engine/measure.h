// Times the lanes of a session on its own model and examples, before the first step. What was trained meanwhile is
// thrown away.
#pragma once

#include <cstdint>

#include "engine/round_cost.h"
#include "engine/session.h"

namespace finetune {

/// What the lanes of a session cost while all of them work: `step` forward, backward and update, `evaluation` forward
/// only.
struct LaneCosts {
  RoundCost step, evaluation;
};

/// For about `seconds` seconds; longer only where a pass of few tokens takes longer. `trials`: most on one lane.
LaneCosts measure_costs(const Session& session, std::int64_t trials, double seconds);

}  // namespace finetune
