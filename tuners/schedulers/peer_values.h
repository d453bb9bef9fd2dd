// What the trials' values are at each look, kept sorted as they come: a report costs the same however long the history
// is. What median and percentile compare with.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "tuners/tuner.h"

namespace finetune {

/// A look is numbered from 0; number k is at step warmup_steps + 1 + k interval. A trial's value at a look is its first
/// at or past that step. A function of the trials' values, so that nothing of it is saved.
class PeerValues {
 public:
  PeerValues(std::int64_t warmup_steps, std::int64_t interval, bool completed_only)
      : warmup_steps_(warmup_steps), interval_(interval), completed_only_(completed_only) {}

  /// Takes in what the trial has said since the last call. Failed trials do not count: what they had is taken out.
  void take(const TrialRecord& trial);

  /// The trial's best value.
  double best_of(TrialId trial) const { return known_[static_cast<std::size_t>(trial.value)].best; }

  /// The looks that the trial's fresh value has reached: [first, last).
  struct Looks {
    std::int64_t first = 0, last = 0;
  };
  Looks reached(const TrialRecord& trial) const;

  /// The values of all trials (those that completed) at a look, sorted.
  const std::vector<double>& at(std::int64_t look, std::span<const TrialRecord> all);

 private:
  struct Known {
    std::size_t values = 0;  // taken in so far
    std::int64_t looks = 0;  // that they have reached
    double best = std::numeric_limits<double>::infinity();
    bool completed = false;
  };
  struct Row {
    std::vector<double> sorted;
    std::size_t completed = 0;  // how many of `completed_` are in it
  };

  std::int64_t looks_up_to(std::int64_t step) const;
  void take_out(const TrialRecord& failed, Known& known);

  std::int64_t warmup_steps_, interval_;
  bool completed_only_;
  std::vector<Known> known_;        // by trial
  std::vector<Row> rows_;           // by look
  std::vector<TrialId> completed_;  // in the order of their completion
};

}  // namespace finetune
