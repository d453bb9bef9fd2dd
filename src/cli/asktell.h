// The verb asktell: the tuner alone, for an objective in any language. Needs `search` and `tune` of the configuration.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "host/past_trials.h"
#include "tuners/asktell/session.h"

namespace finetune {

/// The configuration, sampler and scheduler chosen, as a session needs it, and what tune.warm_start gave. The clock of
/// tune.budget.seconds starts now.
AskTellSetup asktell_setup(const RunConfig& config, const PastTrials& past = {});

/// What a session begins with, and what is to be said of it.
struct AskTellStart {
  AskTellSetup setup;
  std::vector<std::string> notes;
};

/// Throws Error (bad_input) where the configuration cannot be used.
AskTellStart start_asktell(RunConfig config);

/// Answers each line of `in` by one of `out`, flushed, until it ends. Throws Error (bad_input) before the first line
/// when the configuration cannot be used.
int run_asktell(RunConfig config, std::istream& in, std::ostream& out);

}  // namespace finetune
