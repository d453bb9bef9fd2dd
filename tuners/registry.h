// Samplers and schedulers by name. Adding one: its file, one line in registry.cpp, one line in the contract test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/value.h"
#include "tuners/tuner.h"

namespace finetune {

struct SamplerRequest {
  Params options;  ///< beside the name in the config
  SearchSpace space;
  std::uint64_t seed = 0;
  std::vector<Params> enqueue = {};  ///< trials that come first (samplers/enqueued.h)
};

struct SchedulerRequest {
  Params options;
  SearchSpace space;
  TunerOptions tuner;
};

std::vector<std::string> sampler_names();
std::vector<std::string> scheduler_names();

/// Throw Error (bad_input) for unknown names and options and for values out of range, naming the key
/// (tune.scheduler.min_steps) and what is allowed.
std::unique_ptr<Sampler> make_sampler(const std::string& name, const SamplerRequest& request);
std::unique_ptr<Scheduler> make_scheduler(const std::string& name, const SchedulerRequest& request);

}  // namespace finetune
