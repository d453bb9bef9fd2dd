// What `train` and its `resume` print at their end.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "host/train.h"

namespace finetune {

/// What `train --json` prints.
nlohmann::ordered_json train_json(const TrainResult& result);

/// The result as text or JSON to stdout; gives the exit code: 0, or 130 for a run that the user interrupted.
int show_train(const TrainResult& result, bool json);

}  // namespace finetune
