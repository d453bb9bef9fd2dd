// What an objective of preferences says of a model by itself (verb eval).
#pragma once

#include "core/metric.h"
#include "engine/session.h"

namespace finetune {

/// Loss, preference_accuracy and reward_margin of train.objective on the validation examples: of the model's first base
/// with its adapter where it has one, beside the base without.
EvalResult evaluate_objective(Session& session);

}  // namespace finetune
