// Plays a study on simulated curves: the host's side of the tuner's contract, one step of every running trial a round.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "tuners/tuner.h"

namespace finetune {

/// One training run. A copy of it is a copy of its weights; parameters may change from step to step.
class CurveRun {
 public:
  virtual ~CurveRun() = default;
  virtual double step(const Params& params) = 0;  ///< validation loss after one more step; NaN once diverged
  virtual std::unique_ptr<CurveRun> clone() const = 0;
};

class CurvePlayer {
 public:
  using Start = std::function<std::unique_ptr<CurveRun>(TrialId trial)>;

  /// The tuner must outlive the player. `concurrent`: trials that run at once.
  CurvePlayer(Tuner& tuner, Start start, std::int64_t concurrent);

  bool round();  ///< false: nothing was left to step

  std::span<const Report> reports() const { return reports_; }           ///< of the last round
  std::int64_t steps() const { return steps_; }                          ///< of all trials together
  bool changed(TrialId trial) const { return runs_.at(trial).changed; }  ///< its weights came from another one
  std::int64_t decisions() const { return decisions_; }                  ///< calls of the tuner's ask and report
  double decision_seconds() const { return decision_seconds_; }          ///< spent in them

 private:
  struct Run {
    std::unique_ptr<CurveRun> weights;
    bool changed = false;
  };
  void start_new();
  void step_running();
  void ask_tuner();
  void copy_weights(std::span<const Action> actions);
  void timed(const std::function<void()>& decide);

  Tuner& tuner_;
  Start start_;
  std::int64_t concurrent_;
  std::map<TrialId, Run> runs_;
  std::vector<Report> reports_;
  std::int64_t steps_ = 0, decisions_ = 0;
  double decision_seconds_ = 0;
};

}  // namespace finetune
