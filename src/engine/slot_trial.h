// What a pass needs to know of a trial, from its configuration.
#pragma once

#include "config/run_config.h"
#include "engine/pack_data.h"
#include "models/adapter_bank.h"

namespace finetune {

/// Sets what follows from a configuration and from what the store makes of it; slot, step and the data's order stay.
void set_from_config(PackTrial& trial, const TrainConfig& config, const SlotOptions& slot);

}  // namespace finetune
