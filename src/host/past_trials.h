// The trials of tune.warm_start, read for the tuner that they inform.
#pragma once

#include <string>
#include <vector>

#include "config/run_config.h"
#include "study/warm_start.h"

namespace finetune {

struct PastTrials {
  std::vector<WarmStudy> studies;
  std::int64_t count() const;
  std::vector<std::string> lines() const;  ///< what is to be said of them, once
};

/// Reads every file of tune.warm_start for the search of `config`, whose defaults have been chosen; in asktell metric
/// and model are not ours. Throws Error (bad_input) naming the entry: see read_past_study and warm_study; also for a
/// study that is listed twice.
PastTrials read_past_trials(const RunConfig& config, bool asktell = false);

}  // namespace finetune
