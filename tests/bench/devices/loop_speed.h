// The real loop (engine/study.h) on as many lanes as there are devices, which compute nothing: what the host takes.
#pragma once

#include <cstdint>
#include <string>

namespace finetune::testing {

/// Seconds by the clock.
struct LoopSpeed {
  std::int64_t rounds = 0;
  double round_median = 0, round_most = 0;        ///< a round, everything of it
  double decision_median = 0, decision_most = 0;  ///< of it the tuner's ask and report
};

/// `trials` of `steps` steps under the scheduler, as many side by side as fit into `slots` of each lane.
LoopSpeed measure_loop(const std::string& scheduler, std::int64_t lanes, std::int64_t slots, std::int64_t trials,
                       std::int64_t steps);

}  // namespace finetune::testing
