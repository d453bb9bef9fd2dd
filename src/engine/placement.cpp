#include "engine/placement.h"

#include <algorithm>
#include <vector>

namespace finetune {

double step_cost(const TrainConfig& config) {
  return static_cast<double>(config.batch_size);
}

static std::vector<double> loads_of(std::span<const PlacedTrial> trials, std::size_t lanes) {
  std::vector<double> loads(lanes, 0);
  for (const PlacedTrial& trial : trials) loads[trial.lane] += trial.cost;
  return loads;
}

std::optional<std::size_t> emptiest_lane(std::span<const PlacedTrial> trials,
                                         std::span<const std::int64_t> free_slots) {
  const std::vector<double> loads = loads_of(trials, free_slots.size());
  std::optional<std::size_t> best;
  for (std::size_t lane = 0; lane < loads.size(); ++lane) {
    if (free_slots[lane] > 0 && (!best || loads[lane] < loads[*best])) best = lane;
  }
  return best;
}

std::optional<Move> next_move(std::span<const PlacedTrial> trials, std::span<const std::int64_t> free_slots) {
  const std::vector<double> loads = loads_of(trials, free_slots.size());
  const auto [least, most] = std::minmax_element(loads.begin(), loads.end());
  const auto to = static_cast<std::size_t>(least - loads.begin()),
             from = static_cast<std::size_t>(most - loads.begin());
  if (loads.empty() || free_slots[to] == 0) return std::nullopt;
  std::optional<Move> move;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (trials[i].lane != from || *least + trials[i].cost >= *most) continue;
    if (!move || trials[i].cost >= trials[move->trial].cost) move = {i, to};
  }
  return move;
}

}  // namespace finetune
