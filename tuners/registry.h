// Samplers and schedulers by name, each with its options. Adding one: its file, its declaration in samplers.h or
// schedulers.h and one line in registry.cpp; help, checks of options and the contract tests follow.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/value.h"
#include "tuners/options.h"
#include "tuners/tuner.h"

namespace finetune {

struct SamplerRequest {
  Params options;  ///< beside the name in the config
  SearchSpace space;
  std::uint64_t seed = 0;
  std::vector<Params> enqueue = {};    ///< trials that come first (samplers/enqueued.h)
  Params start = {};                   ///< the user's guesses: of those parameters that have one
  std::vector<TrialRecord> past = {};  ///< of earlier studies (samplers/warm_started.h)
};

struct SchedulerRequest {
  Params options;
  SearchSpace space;
  TunerOptions tuner;
};

/// What there is to choose from: `what` and the options are what --help shows. The reader has checked each option by
/// its range; what options and space must have between them is for `make` to refuse.
struct SamplerKind {
  std::string name, what;
  std::vector<OptionSpec> options;
  std::unique_ptr<Sampler> (*make)(const OptionReader& options, const SamplerRequest& request);
  bool learns = false;  ///< looks at the trials it is asked with
};
struct SchedulerKind {
  std::string name, what;
  std::vector<OptionSpec> options;
  std::unique_ptr<Scheduler> (*make)(const OptionReader& options, const SchedulerRequest& request);
  bool one_cohort = false;   ///< waits for all trials of the study, so their number or the steps must be limited
  bool stops_none = false;   ///< every trial runs to the end
  bool one_process = false;  ///< pauses, changes or copies trials: a study that it decides has all of them in one place
};

const std::vector<SamplerKind>& samplers();
const std::vector<SchedulerKind>& schedulers();
std::vector<std::string> sampler_names();
/// Of those that learn from trials.
std::vector<std::string> learning_samplers();
std::vector<std::string> scheduler_names();
/// Whether the scheduler of this name waits for all trials of the study.
bool judges_one_cohort(const std::string& scheduler);
/// Whether the scheduler of this name wants all trials of a study in one process.
bool wants_one_process(const std::string& scheduler);
/// Whether under the scheduler of this name every trial runs to its end.
bool stops_none(const std::string& scheduler);

/// Every sampler and scheduler with its options, for people.
std::string tuners_help();

/// Throw Error (bad_input) for unknown names and options and for values out of range, naming the key
/// (tune.scheduler.min_steps) and what is allowed.
std::unique_ptr<Sampler> make_sampler(const std::string& name, const SamplerRequest& request);
std::unique_ptr<Scheduler> make_scheduler(const std::string& name, const SchedulerRequest& request);

}  // namespace finetune
