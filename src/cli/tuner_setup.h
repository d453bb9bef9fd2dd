// From the configuration to a tuner: the space, defaults where none is named, sampler and scheduler by name.
#pragma once

#include <memory>

#include "config/run_config.h"
#include "tuners/tuner.h"

namespace finetune {

/// Fills in search, tune.sampler and tune.scheduler where the user named none: learning rate and rank (full
/// fine-tuning: learning rate alone), random + asha.
void choose_defaults(RunConfig& config);

SearchSpace search_space(const RunConfig& config);

/// Throws Error (bad_input) naming the key for anything that cannot be. `asktell`: the budget is tune.steps, any
/// parameter may change in training.
std::unique_ptr<Tuner> make_tuner(const RunConfig& config, std::optional<std::int64_t> concurrent,
                                  bool asktell = false);

}  // namespace finetune
