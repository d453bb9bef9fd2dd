// What lanes have been given to do and have not told the results of. A lane has its thread and does its work in the
// order given, so those with more to do are no hindrance to the others. Torch-free; used by the study's thread alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "engine/lane.h"
#include "engine/lane_threads.h"

namespace finetune {

/// The results of one lane's part of a round.
struct LaneSteps {
  std::int64_t round = 0;
  double cost = 0;  ///< step_cost of its trials
  std::vector<StepResult> results;
  double seconds = 0;  ///< that the lane took for it, by its own clock (Lane::step_seconds); 0: not known
};

class LaneQueues {
 public:
  /// Lanes must outlive it.
  explicit LaneQueues(std::vector<Lane*> lanes)
      : lanes_(std::move(lanes)), queues_(lanes_.size()), counted_(lanes_.size()), threads_(lanes_.size()) {}

  std::size_t size() const { return lanes_.size(); }

  /// One step of those trials, as a part of a round. Returns at once, or when the step is done where there is one lane
  /// alone. A device has always the next step before it is asked for the results of the last one. `beside`: lanes that
  /// work side by side.
  void submit(std::size_t lane, std::vector<TrialId> trials, LaneSteps part, std::size_t beside);
  /// Nothing more comes for now: the lane itself waits for the results of its last step.
  void let_end(std::size_t lane);
  /// Whether there are steps of rounds up to that one whose results have not been taken.
  bool has(std::size_t lane, std::int64_t round) const;
  /// The results of the step that was given first; waits for them. Throws what the lane threw; nothing is under way
  /// there then.
  LaneSteps take(std::size_t lane);

  /// The lane, once it has done everything: to be called by the study's thread. Throws as take().
  Lane& at(std::size_t lane);
  /// Runs job on those lanes (ascending), side by side, behind what they were given before; waits.
  void run(const std::vector<std::size_t>& lanes, const std::function<void(Lane&, std::size_t)>& job);
  /// Waits for the step that each is at, and forgets what comes behind it, results and errors. No lane is to step
  /// again.
  void abandon();

 private:
  struct Entry {
    std::vector<TrialId> trials;
    LaneSteps steps;
    bool collects = false;    // the job that takes its results has been posted
    std::int64_t number = 0;  // of that job
  };
  void collect(std::size_t lane, Entry& entry);

  std::vector<Lane*> lanes_;
  std::vector<std::deque<Entry>> queues_;  // by lane, oldest first; an entry stays where it is while others come
  std::vector<double> counted_;            // Lane::step_seconds that have been told
  LaneThreads threads_;                    // last: its jobs use the others
};

}  // namespace finetune
