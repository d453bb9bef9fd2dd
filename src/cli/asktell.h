// The verb asktell: the tuner alone, for an objective in any language. Needs `search` and `tune` of the configuration.
#pragma once

#include <iosfwd>

#include "config/run_config.h"
#include "host/past_trials.h"
#include "tuners/asktell/session.h"

namespace finetune {

/// The configuration, sampler and scheduler chosen, as a session needs it, and what tune.warm_start gave. The clock of
/// tune.budget.seconds starts now.
AskTellSetup asktell_setup(const RunConfig& config, const PastTrials& past = {});

/// Answers each line of `in` by one of `out`, flushed, until it ends. Throws Error (bad_input) before the first line
/// when the configuration cannot be used.
int run_asktell(RunConfig config, std::istream& in, std::ostream& out);

}  // namespace finetune
