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
  std::string fingerprint() const;         ///< of all that a tuner is told
};

/// Reads every file of tune.warm_start for the search of `config`, whose defaults have been chosen. Throws Error
/// (bad_input) naming the entry: see read_past_study and warm_study; also one that is listed twice.
PastTrials read_past_trials(const RunConfig& config);

}  // namespace finetune
