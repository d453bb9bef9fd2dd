// From the configuration to a tuner: the space, defaults where none is named, sampler and scheduler by name.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "config/run_config.h"
#include "host/past_trials.h"
#include "host/search_space.h"
#include "tuners/tuner.h"

namespace finetune {

struct MethodContext {
  bool asktell = false;                      ///< parameters and budget are those of an outside program
  std::optional<std::int64_t> side_by_side;  ///< trials that fit at once; unknown: tune.concurrent, or all
  std::int64_t past_trials = 0;              ///< of tune.warm_start, once they are read
};

/// Fills in search, tune.sampler and tune.scheduler where the user named none: learning rate and rank (full
/// fine-tuning: learning rate alone), what tune.method stands for; auto where none of the three is named.
void choose_defaults(RunConfig& config, const MethodContext& context = {});

/// What is searched and over which values, for people; and which of it was given as a value too.
std::string describe_search(const RunConfig& config);

/// Where `tune.method` is auto: chooses again now that more is known, and says what, why and at which cost. Nothing for
/// any other method.
std::optional<std::string> settle_method(RunConfig& config, const MethodContext& context);

/// Where the first rung asked for lies before any trial has moved, and so is moved itself: what and why, to be said
/// once. The scheduler must have been chosen.
std::optional<std::string> describe_first_look(const RunConfig& config);

/// Throws Error (bad_input) naming the key for anything that cannot be. Nobody is judged before the first step at which
/// a trial's weights have moved (TunerOptions::first_look). `asktell`: the budget is tune.steps, any
/// parameter may change in training. `past`: what was read of tune.warm_start, before which a sampler that does not
/// look at the past is refused.
std::unique_ptr<Tuner> make_tuner(const RunConfig& config, std::optional<std::int64_t> concurrent, bool asktell = false,
                                  const PastTrials& past = {});

}  // namespace finetune
