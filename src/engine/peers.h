// Other processes that work on the same study, as Study sees them: each starts trials of its own, and learns from all.
// Numbers of trials are the same everywhere. Torch-free; what they share lies behind this (study/shared_trials.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "core/trial.h"
#include "engine/study_state.h"
#include "tuners/tuner.h"

namespace finetune {

/// A trial that another process trains, as far as it has come.
struct PeerTrial {
  TrialId id;
  Params params;
  TrialState state = TrialState::running;
  std::vector<std::pair<std::int64_t, double>> values;  ///< what trials are compared by, in the user's direction
};

class StudyPeers {
 public:
  virtual ~StudyPeers() = default;

  /// Trials of others that have not ended, or had not at the last call, and new ones; by number, without a gap.
  virtual std::vector<PeerTrial> news() = 0;

  /// Calls `start` with news(); nobody else starts a trial meanwhile, and those that it returns are this process's. It
  /// may be called again, with later news: then what it did the time before never happened.
  virtual void start_trials(const std::function<std::vector<NewTrial>(const std::vector<PeerTrial>& news)>& start) = 0;

  /// Trials of processes that are gone, at most `room`, which are this process's from now on: as they were last saved,
  /// with an image, or without one at their beginning.
  virtual std::vector<Trial> take_up(std::int64_t room) = 0;

  /// Called where nothing is left to do here: returns true when that may have changed, or when `stop` says so; false
  /// where all trials of others have ended.
  virtual bool wait(const std::function<bool()>& stop) = 0;

  /// Whether another process has the study's best trial; `best`: this one's.
  virtual bool best_is_elsewhere(const Trial* best) = 0;
};

}  // namespace finetune
