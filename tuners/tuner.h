// A tuner is a Sampler (where to look) and a Scheduler (how long to go on), joined by Tuner, which keeps the books:
// ids, states, limits, best. Pure C++: no tensors, clock, files, logging or threads. Random numbers come from
// core/random.h streams keyed on the tuner's seed. All calls come from one thread, between steps.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/trial.h"
#include "core/value.h"
#include "tuners/space/space.h"

namespace finetune {

/// What is known of a trial; the sampler's and scheduler's view of the past. Metrics are already minimised.
struct TrialRecord {
  TrialId id;     ///< below 0: a trial of an earlier study, which only samplers see
  Params params;  ///< present ones (a population changes them)
  TrialState state = TrialState::running;
  std::vector<std::pair<std::int64_t, double>> values;  ///< (step, minimised metric), steps ascending
  std::int64_t step = 0;                                ///< last reported step
  std::int64_t step_before = 0;                         ///< the one before it; not saved
  std::optional<double> train_loss;                     ///< of the last report; not saved
  bool elsewhere = false;  ///< another process trains it: it takes no slot here, and no action is for it
  std::int64_t known = 0;  ///< steps that others have reported of it: they are not reported again
};

/// Whether the trial is one of an earlier study.
inline bool is_past(const TrialRecord& trial) {
  return trial.id.value < 0;
}

/// Proposes parameters of new trials.
class Sampler {
 public:
  virtual ~Sampler() = default;
  /// Parameters of trial `id` given every trial so far, ids ascending (trials of earlier studies first, see
  /// samplers/warm_started.h); nothing when there is no new one (grid used up).
  virtual std::optional<Params> suggest(TrialId id, std::span<const TrialRecord> trials) = 0;
  /// State that is not a function of the trials seen and the id; null when there is none.
  virtual nlohmann::json save() const;
  virtual void load(const nlohmann::json& state);
};

/// At which steps a scheduler compares trials: rungs below the full budget, or multiples of an interval. Neither where
/// it compares none.
struct Looks {
  std::vector<std::int64_t> rungs;
  std::optional<std::int64_t> interval;
  std::vector<std::int64_t> distrusted = {};  ///< rungs at which nobody is stopped, since later values contradict them
};

/// Decides how long trials go on. Cohort-fair: outcome does not depend on the order of reports. A trial counts for a
/// rung or interval with its first value at or past it; who passes several at once is judged at each, the lowest first,
/// until it is stopped.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// A trial was started.
  virtual void on_start(const TrialRecord& trial);
  /// One round: the records of all trials that reported this round, sorted by id, their newest value last where this
  /// report carried a metric. Appends actions. Failed (non-finite) trials are not among them.
  virtual void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord> all,
                          std::vector<Action>& actions) = 0;
  /// A trial ended by itself or failed (not by this scheduler's stop). May resume others that waited for it.
  virtual void on_end(const TrialRecord& trial, std::span<const TrialRecord> all, std::vector<Action>& actions);
  /// Slots are free and no report is pending: a chance to resume paused trials, which go before new ones. Called at the
  /// start of ask and at the end of report and tell. `exhausted`: no new trial will ever come, so a cohort that waits
  /// for more is complete.
  virtual void on_idle(std::int64_t free_slots, bool exhausted, std::span<const TrialRecord> all,
                       std::vector<Action>& actions);
  /// False: it has started all the trials it has a use for, so no new one comes.
  virtual bool wants_more() const;
  /// The first step, `step` itself included, at which the trial must be evaluated; nothing = only at the end.
  virtual std::optional<std::int64_t> next_milestone(TrialId trial, std::int64_t step) const = 0;
  virtual Looks looks() const = 0;
  /// True: between milestones it learns nothing and does nothing, at one it stops or pauses those alone that have come
  /// to it, and a milestone that it has named stays. Then a trial may step on while others are judged (engine/study.h).
  virtual bool acts_at_milestones_only() const { return false; }
  virtual nlohmann::json save() const;
  /// `trials` are those that it had seen, whole. Throws (Error or nlohmann's) for what save() does not write.
  virtual void load(const nlohmann::json& state, std::span<const TrialRecord> trials);
};

struct TunerOptions {
  std::int64_t trials = 32;                  ///< trials started in all
  std::int64_t max_steps = 1;                ///< full budget of one trial
  std::optional<std::int64_t> concurrent;    ///< running at once; nothing = no limit
  std::optional<std::int64_t> budget_steps;  ///< stop the study when all trials together have done this many
  std::optional<double> target;              ///< end the study when a completed trial is at least this good
  std::optional<std::int64_t> patience;      ///< ... when so many trials have ended since the best completed one
  Direction direction = Direction::minimize;
  std::uint64_t seed = 0;
  std::int64_t default_min_steps = 1;  ///< first rung, and steps from look to look, without an option
  std::int64_t first_look = 1;         ///< before this step no trial has learned anything: values there do not count
  bool default_guard = true;           ///< the halvings, median and percentile look out for misleading values
  std::function<bool(const std::string&)> may_change;  ///< which parameters may change in training; empty: all
};

struct NewTrial {
  TrialId id;
  Params params;
};

class Tuner {
 public:
  Tuner(TunerOptions options, std::unique_ptr<Sampler> sampler, std::unique_ptr<Scheduler> scheduler);

  /// Up to `count` new trials (fewer when `concurrent` is reached or trials are used up). Resumes go to `actions`.
  std::vector<NewTrial> ask(std::int64_t count, std::vector<Action>& actions);
  /// True when no new trial will ever come (paused ones may still be resumed).
  bool exhausted() const;

  /// One round of reports, sorted by trial id, metrics in the user's direction. Appends what is to be done before the
  /// next step, including the stop of trials whose loss, metric or gradient norm is not finite (those fail). A trial
  /// that reaches max_steps without a stop is complete.
  void report(std::span<const Report> reports, std::vector<Action>& actions);

  /// A trial that ended by itself: completed (with a value, or its last), failed, or stopped by the host program.
  void tell(TrialId trial, TrialState state, std::optional<double> metric, std::vector<Action>& actions);

  /// A trial that another process has started, the next by number; and what is known of one: values in the user's
  /// direction, of which those are passed over that are known, and how it ended. Appends actions for the own ones.
  void follow(TrialId trial, const Params& params);
  void follow(TrialId trial, std::span<const std::pair<std::int64_t, double>> values, TrialState state,
              std::vector<Action>& actions);
  /// From now on the trial is trained here, or no longer.
  void set_elsewhere(TrialId trial, bool elsewhere);

  /// Ends the study: every running trial is stopped with this reason, and no new one will come.
  void end(const std::string& reason, std::vector<Action>& actions);
  /// Which budget ended the study: steps, target or patience; empty when none did.
  const std::string& ended_by() const { return ended_by_; }

  Looks looks() const { return scheduler_->looks(); }
  bool acts_at_milestones_only() const { return scheduler_->acts_at_milestones_only(); }

  /// The host program changed a trial's parameters on its own.
  void note_params(TrialId trial, const Params& params);

  /// The first step, its present one included, at which `trial` must be evaluated: the scheduler's, or max_steps.
  std::int64_t next_milestone(TrialId trial) const;
  /// Whether it must be evaluated after `step`, which may lie ahead of what has been reported.
  bool is_milestone(TrialId trial, std::int64_t step) const;

  const std::vector<TrialRecord>& trials() const { return trials_; }
  const TrialRecord* find(TrialId trial) const;

  /// Among trials that did not fail those at the highest step; of these the best last value (ties: lowest id).
  const TrialRecord* best() const;

  nlohmann::json save() const;
  void load(const nlohmann::json& state);  ///< replaces everything; throws Error and changes nothing when damaged

 private:
  void carry_out(std::vector<Action>& actions, std::size_t first);
  void note_running(const TrialRecord& trial, std::int64_t change);
  void resume_waiting(std::int64_t free_slots, std::vector<Action>& actions);
  std::int64_t free_slots() const;
  void finish_trial(TrialRecord& trial, TrialState state, std::vector<Action>& actions);
  void end_where_due(std::vector<Action>& actions);
  void end_by(const std::string& budget, const std::string& what, std::vector<Action>& actions);
  void note_ended(const TrialRecord& trial);
  std::int64_t running() const { return running_; }

  TunerOptions options_;
  std::unique_ptr<Sampler> sampler_;
  std::unique_ptr<Scheduler> scheduler_;
  std::vector<TrialRecord> trials_;  // index = id
  std::int64_t running_ = 0, steps_ = 0;
  std::int64_t most_running_ = 0;  // at once, so far: what a host without `concurrent` is known to hold
  bool exhausted_ = false, budget_used_ = false;
  std::string ended_by_;
  // For target and patience: trials that have ended, and how many had when the best completed one did.
  std::int64_t ended_ = 0, ended_at_best_ = 0;
  std::optional<double> best_completed_;  // minimised
};

}  // namespace finetune
