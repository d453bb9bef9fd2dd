// A trial's parameters applied to a configuration.
#pragma once

#include <map>
#include <string>

#include "config/run_config.h"

namespace finetune {

/// Sets the dotted keys (train.learning_rate, data.weights.NAME ...), then what follows from them: alpha from
/// alpha_over_rank, shares from weights. Throws Error for a key or value that train does not allow.
void apply_params(RunConfig& config, const Params& params);

/// A trial's configuration from its searched parameters, its shares of the data among it.
TrainConfig configure_trial(const RunConfig& config, const Params& params);

/// alpha = alpha_over_rank x rank where that is given.
void resolve_alpha(LoraConfig& lora);

/// Whether examples are drawn by weights: any is given, or searched.
bool is_mixture(const RunConfig& config);

/// train.shares from the weights of data.train.
void resolve_shares(RunConfig& config);

/// The weights that named entries of data.train have, whoever gave them.
std::map<std::string, double> weights_by_name(const RunConfig& config);

/// The searched keys as the untouched configuration has them; those that hold a list, or nothing, are left out.
Params searched_defaults(const RunConfig& config);

/// True for keys that may change while a trial trains (a population mutates only these).
bool may_change_during_training(const std::string& key);

}  // namespace finetune
