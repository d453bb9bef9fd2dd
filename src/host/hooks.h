// What a program that runs a study on its user's model hands in, and what it is told meanwhile. The library itself
// prints nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/trial.h"
#include "engine/study.h"

namespace finetune {

/// What is known once everything is open, before the first step.
struct StudyPlan {
  std::int64_t trials = 1;           ///< that will be started at most
  std::int64_t steps_per_trial = 1;  ///< of one that nobody stops
  std::string metric;
  std::string rung_metric = metric;  ///< what is compared before a trial's end
  Direction direction = Direction::minimize;
  BudgetConfig budget;    ///< of the whole study
  bool ablation = false;  ///< the path to the winner is trained at the end
};

struct StudyHooks {
  /// Called on this thread after every round with the reports of all trials that stepped; may return actions. The
  /// stronger action of a trial wins over the scheduler's.
  StepCallback on_step;
  std::vector<StudyObserver*> observers;  ///< see everything, change nothing; must outlive the call
  std::vector<StudySaver*> savers;        ///< are given the state of everything after rounds; must outlive the call
  std::function<bool()> stop;  ///< asked after each round: true ends the study with a report of what is there
  /// Lines for people, without line ends: model and data, what was guessed or lowered, what happens meanwhile. From any
  /// thread. Without it nothing is said.
  std::function<void(const std::string& line)> say;
  std::function<void(const StudyPlan&)> on_begin;  ///< everything is open and the folder made; the first step is next
  /// Of tune: `workers` lanes elsewhere that hold `slots` trials in all, instead of those of this process, which then
  /// only writes results. They must outlive the call.
  std::function<std::vector<Lane*>(std::int64_t slots)> lanes;
  std::int64_t workers = 0;
};

}  // namespace finetune
