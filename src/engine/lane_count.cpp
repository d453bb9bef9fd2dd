#include "engine/lane_count.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "engine/admission.h"
#include "engine/estimate.h"
#include "engine/lanes.h"

namespace finetune {
namespace {

// On a busy virtual machine a measurement of half a second is off by a third (tinystories-656k, 16 trials: 0.16 to 0.45
// s for a single lane, 0.16 to 0.22 s for two): more lanes that seem slower by less are raced once more.
constexpr double kUnclear = 1.3;

bool fits(const Session& session, std::int64_t trials) {
  return std::ranges::all_of(memory_needs(session, trials + 1), &MemoryNeed::fits);
}

}  // namespace

std::vector<std::int64_t> lanes_to_try(int threads, std::int64_t trials) {
  std::vector<std::int64_t> numbers;
  const std::int64_t most = std::min<std::int64_t>(threads, trials);
  for (std::int64_t lanes = 1; lanes < most; lanes *= 2) numbers.push_back(lanes);
  numbers.push_back(std::max<std::int64_t>(1, most));
  return numbers;
}

void suppose_lanes(Session& session, std::int64_t trials) {
  OpenedModel& model = session.model;
  const std::int64_t asked = session.config.run.lanes.value_or(1), lanes = std::min(asked, trials);
  if (lanes < asked)
    session.notes.push_back(fmt::format("run.lanes = {} lowered to {}: a trial is on one lane, and {}", asked, lanes,
                                        trials == 1 ? "there is one" : fmt::format("{} are trained at once", trials)));
  const bool gpu = std::any_of(model.devices.begin(), model.devices.end(),
                               [](const at::Device& device) { return !device.is_cpu(); });
  if (gpu && lanes > 1) throw bad_input("", fmt::format("run.lanes = {}: a GPU has one lane; give 1 or auto", lanes));
  multiply_lanes(model, lanes);
  session.config.run.lanes = lanes;
}

LaneCosts settle_lanes(Session& session, std::int64_t trials, double seconds) {
  OpenedModel& model = session.model;
  const auto on_lane = [&](std::int64_t lanes) { return (trials + lanes - 1) / lanes; };
  const bool may_choose =
      !session.config.run.lanes && model.devices.size() == 1 && model.devices.front().is_cpu() && trials > 1;
  if (!may_choose) {
    suppose_lanes(session, trials);
    return measure_costs(session, on_lane(std::ssize(model.devices)), seconds);
  }
  const std::vector<at::Device> devices = model.devices;
  const std::vector<DecoderBase> bases = model.bases;
  const auto use = [&](std::int64_t lanes) {
    model.devices = devices;
    model.bases = bases;
    multiply_lanes(model, lanes);
  };
  const auto try_round = [&](std::int64_t lanes, LaneCosts& costs) {
    use(lanes);
    costs = measure_costs(session, on_lane(lanes), seconds);
    return round_seconds(session, costs, trials);
  };
  LaneCosts best_costs;
  std::int64_t best = 0;
  double single = 0, shortest = 0;
  for (const std::int64_t lanes : lanes_to_try(session.threads, trials)) {
    use(lanes);
    if (lanes > 1 && !fits(session, trials)) break;
    LaneCosts costs;
    double round = try_round(lanes, costs);
    if (best > 0 && round > shortest && round < kUnclear * shortest) {
      round = (round + try_round(lanes, costs)) / 2;
      shortest = (shortest + try_round(best, best_costs)) / 2;
      if (best == 1) single = shortest;
    }
    if (lanes == 1) single = round;
    if (best > 0 && round > shortest) break;  // more lanes still would not pay either
    best = lanes;
    best_costs = costs;
    shortest = round;
  }
  use(best);
  session.config.run.lanes = best;
  const std::int64_t threads = std::max<std::int64_t>(1, session.threads / best);
  if (best > 1)
    session.notes.push_back(
        fmt::format("run.lanes auto: {} lanes of {} share the base: a round takes {}, in a single lane {}", best,
                    threads == 1 ? "one thread each" : fmt::format("{} threads each", threads), duration_text(shortest),
                    duration_text(single)));
  return best_costs;
}

}  // namespace finetune
