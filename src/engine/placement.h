// Which lane a trial is placed on, and who moves where lanes have become uneven: decisions on plain values. They change
// when a lane works, never a number of a trial.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "config/run_config.h"

namespace finetune {

/// What a step of a trial takes of its lane's time, beside others': its examples, since all trials draw from the same
/// data.
double step_cost(const TrainConfig& config);

/// Slots that each of `lanes` lanes has for `slots` trials in all: an even share and half as many more, as far as there
/// are trials. So a lane can take all that one of a third of its speed cannot keep up with, of two.
std::int64_t roomy_share(std::int64_t slots, std::int64_t lanes);

struct PlacedTrial {
  std::size_t lane = 0;
  double cost = 0;
};

struct LaneRoom {
  std::int64_t free_slots = 0;
  double speed = 1;  ///< beside the other lanes
};

/// The lane with a free slot that has the least to do at its speed; the first of several. None where no slot is free.
std::optional<std::size_t> emptiest_lane(std::span<const PlacedTrial> trials, std::span<const LaneRoom> lanes);

struct Move {
  std::size_t trial = 0, to = 0;
};
/// The costliest trial of the lane with most to do that is better off on the one with least: a round takes as long as
/// the longest lane, and that gets shorter, by a fiftieth at least. Of equal trials the last. None where nobody is, or
/// no slot is free there.
std::optional<Move> next_move(std::span<const PlacedTrial> trials, std::span<const LaneRoom> lanes);

/// What a lane did in some rounds.
struct LaneRounds {
  double cost = 0, seconds = 0;  ///< of all its steps
};
/// Speeds from how long lanes took for what they had: their mean is 1. They are `speeds`, as before, where that says
/// nothing: a lane did nothing or has no clock; times are within a quarter of each other, which is noise; or lanes had
/// unequal shares at the speeds of before, and a lane with less to do is slower for what it has.
std::vector<double> measured_speeds(std::span<const double> speeds, std::span<const LaneRounds> rounds);

}  // namespace finetune
