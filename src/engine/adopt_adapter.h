// model.adapter and train.lora: the shape of the adapter is the adapter's.
#pragma once

#include "config/run_config.h"
#include "models/peft.h"

namespace finetune {

/// Sets train.lora's rank, alpha, rslora and targets to the adapter's. Throws Error (bad_input, naming the key) for a
/// value that was given and is another: alpha as it comes out of alpha_over_rank, targets as the set of projections
/// that they stand for in this model.
void adopt_adapter(RunConfig& config, const AdapterSpec& spec, const DecoderOptions& model);

}  // namespace finetune
