// Two ways for devices to go through a study, in time that is computed, not waited for.
//
// In rounds, as engine/study.cpp does: a round begins on every device when all have ended the round `lag` before the
// last one; a round in which a trial is measured is waited for by all, before and after the measuring.
//
// Ahead: a device steps those of its trials that await no answer, whatever the others do. A trial's rounds are counted
// from the one it began after, as if all went in step; the tuner hears of a round's milestones together, sorted by id,
// once no running trial can come to a milestone of an earlier round. So it is told the same in the same order as in
// rounds: decisions hang neither on speeds nor on the number of devices (with `concurrent` given). What a round tells
// besides milestones is not waited for; asha, asha_promotion and the hyperbands do not look at it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "fleet.h"

namespace finetune::testing {

struct Way {
  bool ahead = false;
  std::size_t lag = 0;   ///< in rounds: StudyOptions::lag
  bool in_order = true;  ///< ahead; false: the tuner is told when something comes, so decisions hang on speeds
  Placing placing = Placing::number;
};

/// How a trial ended: what the decisions made of it.
struct Ending {
  TrialState state = TrialState::running;
  std::vector<std::pair<std::int64_t, double>> values;
  friend bool operator==(const Ending&, const Ending&) = default;
};

struct Played {
  double makespan = 0, busy = 0;
  std::int64_t moves = 0, steps = 0;
  std::vector<Decision> decisions;
  std::vector<Round> rounds;  ///< in step: what network.h asks for
  std::vector<Ending> endings;
};

Played play(FleetOptions options, const Way& way);

}  // namespace finetune::testing
