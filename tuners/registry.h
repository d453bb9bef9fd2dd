// Samplers and schedulers by name. Adding one: its file, one line in registry.cpp, one line in the contract test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/value.h"
#include "tuners/tuner.h"

namespace finetune {

std::vector<std::string> sampler_names();
std::vector<std::string> scheduler_names();

/// `options`: beside the name in the config. Throws Error (bad_input, no location) for unknown names and options, and
/// values out of range, naming the key ("tune.sampler.order") and the allowed values.
std::unique_ptr<Sampler> make_sampler(const std::string& name, const Params& options, const SearchSpace& space,
                                      std::uint64_t seed);
std::unique_ptr<Scheduler> make_scheduler(const std::string& name, const Params& options, const SearchSpace& space,
                                          const TunerOptions& tuner);

}  // namespace finetune
