#include "engine/lane_queues.h"

#include <algorithm>
#include <utility>

namespace finetune {

void LaneQueues::submit(std::size_t lane, std::vector<TrialId> trials, LaneSteps part, std::size_t beside) {
  std::deque<Entry>& queue = queues_[lane];
  Entry* const before = queue.empty() ? nullptr : &queue.back();
  Entry& entry = queue.emplace_back();
  entry.trials = std::move(trials);
  entry.steps = std::move(part);
  try {
    threads_.post(lane, [this, lane, beside, &entry] {
      lanes_[lane]->share(beside);
      lanes_[lane]->submit(entry.trials);
    });
    if (before != nullptr) collect(lane, *before);
  } catch (...) {
    queue.clear();
    throw;
  }
}

void LaneQueues::collect(std::size_t lane, Entry& entry) {
  if (std::exchange(entry.collects, true)) return;
  entry.number = threads_.post(lane, [this, lane, &entry] {
    entry.steps.results = lanes_[lane]->collect();
    const double now = lanes_[lane]->step_seconds();
    entry.steps.seconds = now - std::exchange(counted_[lane], now);
  });
}

void LaneQueues::let_end(std::size_t lane) {
  if (!queues_[lane].empty()) collect(lane, queues_[lane].back());
}

bool LaneQueues::has(std::size_t lane, std::int64_t round) const {
  return std::ranges::any_of(queues_[lane], [&](const Entry& entry) { return entry.steps.round <= round; });
}

LaneSteps LaneQueues::take(std::size_t lane) {
  std::deque<Entry>& queue = queues_[lane];
  try {
    collect(lane, queue.front());
    threads_.wait(lane, queue.front().number);
  } catch (...) {
    queue.clear();
    throw;
  }
  LaneSteps steps = std::move(queue.front().steps);
  queue.pop_front();
  return steps;
}

Lane& LaneQueues::at(std::size_t lane) {
  try {
    threads_.wait(lane);
  } catch (...) {
    queues_[lane].clear();
    throw;
  }
  return *lanes_[lane];
}

void LaneQueues::run(const std::vector<std::size_t>& lanes, const std::function<void(Lane&, std::size_t)>& job) {
  std::size_t beside = lanes.size();
  for (std::size_t lane = 0; lane < size(); ++lane) {
    if (!queues_[lane].empty() && !std::ranges::binary_search(lanes, lane)) ++beside;
  }
  try {
    threads_.run(lanes, [&](std::size_t lane) {
      lanes_[lane]->share(beside);
      job(*lanes_[lane], lane);
    });
  } catch (...) {
    for (const std::size_t lane : lanes) queues_[lane].clear();
    throw;
  }
}

void LaneQueues::abandon() {
  for (std::size_t lane = 0; lane < size(); ++lane) {
    threads_.drop(lane);
    queues_[lane].clear();
  }
}

}  // namespace finetune
