#include "engine/placement.h"

#include <algorithm>
#include <numeric>

namespace finetune {
namespace {

constexpr double kWorthwhile = 0.98;  // a move that gains less is none
// From the least to the most. Three trials and two are alike enough to be compared by what each took.
constexpr double kAlikeTimes = 1.25, kAlikeShares = 1.6;

// Of each lane, in costs at speed 1.
std::vector<double> times_of(std::span<const PlacedTrial> trials, std::span<const LaneRoom> lanes) {
  std::vector<double> times(lanes.size(), 0);
  for (const PlacedTrial& trial : trials) times[trial.lane] += trial.cost / lanes[trial.lane].speed;
  return times;
}

bool are_alike(const std::vector<double>& times, double most_apart) {
  const auto [least, most] = std::ranges::minmax(times);
  return most <= most_apart * least;
}

}  // namespace

double step_cost(const TrainConfig& config) {
  return static_cast<double>(config.batch_size);
}

std::int64_t roomy_share(std::int64_t slots, std::int64_t lanes) {
  const std::int64_t even = (slots + lanes - 1) / lanes;
  return std::min(slots, even + (even + 1) / 2);
}

std::optional<std::size_t> emptiest_lane(std::span<const PlacedTrial> trials, std::span<const LaneRoom> lanes) {
  const std::vector<double> times = times_of(trials, lanes);
  std::optional<std::size_t> best;
  for (std::size_t lane = 0; lane < times.size(); ++lane) {
    if (lanes[lane].free_slots > 0 && (!best || times[lane] < times[*best])) best = lane;
  }
  return best;
}

std::optional<Move> next_move(std::span<const PlacedTrial> trials, std::span<const LaneRoom> lanes) {
  const std::vector<double> times = times_of(trials, lanes);
  const auto [least, most] = std::minmax_element(times.begin(), times.end());
  const auto to = static_cast<std::size_t>(least - times.begin()),
             from = static_cast<std::size_t>(most - times.begin());
  if (times.empty() || lanes[to].free_slots == 0) return std::nullopt;
  std::optional<Move> move;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (trials[i].lane != from || *least + trials[i].cost / lanes[to].speed > kWorthwhile * *most) continue;
    if (!move || trials[i].cost >= trials[move->trial].cost) move = {i, to};
  }
  return move;
}

std::vector<double> measured_speeds(std::span<const double> speeds, std::span<const LaneRounds> rounds) {
  std::vector<double> measured(speeds.begin(), speeds.end()), shares, seconds;
  for (std::size_t lane = 0; lane < rounds.size(); ++lane) {
    if (rounds[lane].cost <= 0 || rounds[lane].seconds <= 0) return measured;
    shares.push_back(rounds[lane].cost / speeds[lane]);
    seconds.push_back(rounds[lane].seconds);
  }
  if (rounds.empty() || !are_alike(shares, kAlikeShares) || are_alike(seconds, kAlikeTimes)) return measured;
  for (std::size_t lane = 0; lane < rounds.size(); ++lane) measured[lane] = rounds[lane].cost / seconds[lane];
  const double mean = std::accumulate(measured.begin(), measured.end(), 0.0) / static_cast<double>(measured.size());
  for (double& speed : measured) speed /= mean;
  return measured;
}

}  // namespace finetune
