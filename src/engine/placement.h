// Which lane a trial is placed on, and who moves where lanes have become uneven: decisions on plain values. They change
// when a lane works, never a number of a trial.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "config/run_config.h"

namespace finetune {

/// What a step of a trial takes of its lane's time, beside others': its examples, since all trials draw from the same
/// data.
double step_cost(const TrainConfig& config);

struct PlacedTrial {
  std::size_t lane = 0;
  double cost = 0;
};

/// The lane with the least to do that has a free slot; the first of several. None where no slot is free.
std::optional<std::size_t> emptiest_lane(std::span<const PlacedTrial> trials, std::span<const std::int64_t> free_slots);

struct Move {
  std::size_t trial = 0, to = 0;
};
/// The costliest trial of the lane with most to do that is better off on the one with least: a round takes as long as
/// the longest lane, and that gets shorter. Of equal trials the last. None where nobody is, or no slot is free there.
std::optional<Move> next_move(std::span<const PlacedTrial> trials, std::span<const std::int64_t> free_slots);

}  // namespace finetune
