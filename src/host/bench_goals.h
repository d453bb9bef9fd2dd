// What training is to reach on one H200, by model.
#pragma once

#include <optional>

#include "host/bench.h"
#include "models/decoder_options.h"

namespace finetune {

/// Of a model of a size that has a goal, whatever it is called.
std::optional<SpeedGoal> goal_of(const DecoderOptions& model);

}  // namespace finetune
