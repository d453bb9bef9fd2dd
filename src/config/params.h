// A trial's parameters applied to a configuration.
#pragma once

#include "config/run_config.h"

namespace finetune {

/// Sets the dotted keys (train.learning_rate, train.lora.rank ...), then what follows from them: alpha from
/// alpha_over_rank. Throws Error for a key or value that train does not allow.
void apply_params(RunConfig& config, const Params& params);

/// A trial's configuration from its searched parameters.
TrainConfig configure_trial(const RunConfig& config, const Params& params);

/// alpha = alpha_over_rank x rank where that is given.
void resolve_alpha(LoraConfig& lora);

/// The searched keys as the untouched configuration has them; those that hold a list, or nothing, are left out.
Params searched_defaults(const RunConfig& config);

/// True for keys that may change while a trial trains (a population mutates only these).
bool may_change_during_training(const std::string& key);

}  // namespace finetune
