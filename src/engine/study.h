// The loop: asks the tuner for trials, steps all of them round by round, tells the tuner what happened, carries out
// what it answers. Torch-free: it speaks to lanes (engine/lane.h). Nothing in here reads a clock or writes a file;
// observers do.
//
// One round = one optimizer step of every running trial. The tuner is called on the thread that called run(), between
// steps. With StudyOptions::lag 0 it sees round k before round k+1 starts; with 1 while round k+1 runs.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "core/trial.h"
#include "engine/end_reason.h"
#include "engine/lane.h"
#include "engine/lane_threads.h"
#include "tuners/tuner.h"

namespace finetune {

/// Something that happened to a trial besides plain steps, for trial.json and the report.
struct LineageEvent {
  std::int64_t step = 0;  ///< after this many steps of the trial
  Action::Do what = Action::Do::change;
  TrialId from;   ///< copy: the donor
  Params params;  ///< change: what changed; copy: all parameters afterwards
};

/// Everything the study knows of a trial.
struct Trial {
  TrialId id;
  Params params;       ///< the searched parameters, as they are now
  TrainConfig config;  ///< with params applied
  TrialState state = TrialState::running;
  std::string reason;  ///< "" for completed
  std::int64_t step = 0, tokens = 0;
  double train_loss = std::numeric_limits<double>::quiet_NaN();  ///< last finite one
  std::optional<double> metric;  ///< last finite evaluation of tune.metric, in the user's direction
  EvalResult evaluation;         ///< the one that `metric` is of
  std::int64_t metric_step = 0;
  std::optional<double> best_metric;  ///< best evaluation
  std::int64_t best_step = 0;
  std::vector<LineageEvent> lineage;

  /// The hyperparameters that made the present weights, through copies: those at step 0 and what changed after a step.
  Params origin;
  std::vector<HyperparameterChange> schedule;
  Params best_origin;  ///< the same of the weights at best_step
  std::vector<HyperparameterChange> best_schedule;

  std::size_t lane = 0;
  bool resident = false;
  std::int64_t submitted = 0;               ///< steps handed to the lane; `step` counts those whose results have come
  bool awaits_answer = false;               ///< was evaluated: does not step before the tuner has seen it
  std::shared_ptr<const TrialImage> image;  ///< while paused
  std::shared_ptr<const TrialImage> best_image;  ///< the state at best_step; dropped once it cannot win any more
  std::shared_ptr<const TrialImage> last_image;  ///< the state when it ended; only with StudyOptions::keep_last
};

/// Sees everything, changes nothing. Called on the study's thread, between steps.
class StudyObserver {
 public:
  virtual ~StudyObserver() = default;
  virtual void on_start(const Trial&) {}
  virtual void on_steps(std::span<const StepResult>, std::span<const Trial* const>) {}
  virtual void on_evaluation(const Trial&, const EvalResult&, double /*metric*/) {}
  virtual void on_action(const Trial&, const Action&) {}  ///< carried out; of a stop just before on_end
  virtual void on_end(const Trial&) {}
  virtual void before_decision() {}  ///< around each call of the tuner's ask and report
  virtual void after_decision() {}
  virtual void on_round(std::int64_t /*round*/) {}  ///< after everything else of the round
};

/// A host program's own rule: sees the reports of all trials of a round, sorted by id, may return actions. It is
/// combined with the tuner's answer; the stronger action of a trial wins.
using StepCallback = std::function<void(std::span<const Report>, std::vector<Action>&)>;

struct StudyOptions {
  std::function<TrainConfig(const Params&)> configure;  ///< a trial's configuration from its parameters
  Metric metric = metrics().front();                    ///< what is tuned, and which way is better
  bool has_validation = true;
  std::int64_t eval_every = 0;                ///< besides milestones and the end
  std::optional<std::int64_t> concurrent;     ///< nothing = as many as the lanes hold
  std::optional<std::int64_t> budget_tokens;  ///< of all trials; steps, target and patience are the tuner's
  bool keep_last = false;                     ///< keep each trial's last state, whatever its metric
  bool with_default = true;                   ///< also train the default configuration, as a baseline
  /// Rounds that may be under way while the tuner is asked: 0, or 1 to keep a device busy meanwhile. A trial that was
  /// evaluated waits for the answer in any case, so decisions at milestones are the same; others take effect one step
  /// later, after the step under way, which is logged.
  std::size_t lag = 0;
  StepCallback on_step;
  /// Asked after each round: a reason (interrupted, or seconds by the host's clock) ends the study early.
  std::function<std::optional<EndReason>()> stop;
};

struct StudyResult {
  std::deque<Trial> trials;                        ///< index = id
  std::optional<Trial> default_run;                ///< the default configuration, id -1
  std::optional<double> base_metric;               ///< the untouched base
  std::optional<std::size_t> best;                 ///< index into trials; nothing when every trial failed
  std::int64_t steps = 0, tokens = 0, rounds = 0;  ///< of the listed trials
  EndReason ended = EndReason::exhausted;          ///< why there are no more rounds
};

class Study {
 public:
  /// Lanes, tuner and observers must outlive the study.
  Study(StudyOptions options, Tuner& tuner, std::vector<Lane*> lanes, std::vector<StudyObserver*> observers);

  StudyResult run();

 private:
  // What one round collects, in the order of `trials` (sorted by id, the default run first).
  struct Round {
    std::vector<Trial*> trials;
    std::vector<std::size_t> lanes;  // where each was submitted
    std::vector<StepResult> steps;
    std::vector<std::int64_t> tokens;  // of the trial, up to this step
    std::vector<std::optional<double>> metrics;
    bool collected = false;

    bool is_broken(std::size_t i) const;  // its loss, gradient or metric is not finite
  };
  void start_default();
  void admit_new();
  void start(Trial& trial);
  void even_out();
  void on_lanes(const std::vector<std::size_t>& lanes, const std::function<void(std::size_t)>& job);
  bool step_round();
  void judge(Round round);
  void submit_steps(Round& round);
  void collect_steps(Round& round);
  void collect_all();
  void take_evaluations(Round& round);
  void note_evaluation(Trial& trial, const EvalResult& result, double metric);
  bool wants_evaluation(const Trial& trial, std::int64_t step) const;
  void ask_tuner(Round& round);
  std::vector<Report> reports_of(const Round& round) const;
  std::vector<Action> decide(const std::vector<Report>& reports);
  void carry_out(const Round& round, std::vector<Action> actions);
  std::optional<EndReason> why_over() const;
  void apply(const std::vector<Action>& actions);
  void apply_copies(std::span<const Action> copies);
  void apply_one(const Action& action);
  void end(Trial& trial, TrialState state, const std::string& reason);
  void finish();
  void drop_images_that_lost();
  std::optional<std::size_t> best_trial() const;
  Trial* find(TrialId id);
  std::vector<Trial*> running();
  std::vector<Trial*> ready();
  std::size_t lane_for_new() const;
  std::int64_t free_slots() const;
  bool better(double a, double b) const;

  StudyOptions options_;
  Tuner& tuner_;
  std::vector<Lane*> lanes_;
  std::vector<StudyObserver*> observers_;
  LaneThreads threads_;
  StudyResult result_;
  std::optional<EndReason> ended_;      // the one place that knows
  std::vector<std::int64_t> resident_;  // trials per lane
  std::vector<Action> waiting_;         // resumes that found every slot taken: they go before new trials
  std::list<Round> in_flight_;          // submitted and not yet judged, oldest first
};

}  // namespace finetune
