// Flags that several verbs take.
#pragma once

#include <vector>

#include "cli/verb.h"

namespace finetune {

Flag json_flag();  ///< every verb has it
Flag model_flag();
Flag adapter_flag();
Flag data_flag();  ///< of eval
Flag devices_flag();
/// --out and --overwrite
std::vector<Flag> out_flags();
Flag trace_flag();    ///< of verbs that play a study
Flag profile_flag();  ///< of verbs that train
/// --model, --train, --valid, --steps, --trials, --seed and --devices: a model and data to train on.
std::vector<Flag> training_flags(const std::string& trials_help = "trials to start");

/// Lists of flags one after another.
std::vector<Flag> operator+(std::vector<Flag> left, const std::vector<Flag>& right);

}  // namespace finetune
