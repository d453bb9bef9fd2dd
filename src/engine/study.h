// The loop: asks the tuner for trials, steps all of them round by round, tells the tuner what happened, carries out
// what it answers. Torch-free: it speaks to lanes (engine/lane.h). Nothing in here reads a clock or writes a file;
// observers do.
//
// One round = one optimizer step of every running trial. The tuner is called on the thread that called run(), between
// steps. With StudyOptions::lag 0 it sees round k before any of its trials steps in round k+1; with 1 while round k+1
// runs.
//
// Lanes need not go in step (StudyOptions::ahead). Whatever the others do, a lane goes on until one of its trials is to
// be evaluated, which then waits for the tuner's answer, as in step: the tuner sees the rounds one after the other,
// each whole, so a decision waits for the steps of its round on every lane, and no lane waits for another's rung. What
// a lane has done beyond the round that ended a trial is forgotten. Decisions and results are those of lag 0, for any
// number of lanes. It needs a tuner that acts on trials at their milestones alone (Scheduler::acts_at_milestones_only).
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "core/trial.h"
#include "engine/after_search.h"
#include "engine/end_reason.h"
#include "engine/lane.h"
#include "engine/lane_queues.h"
#include "engine/peers.h"
#include "engine/placement.h"
#include "engine/study_state.h"
#include "tuners/tuner.h"

namespace finetune {

/// What an evaluation says of tune.metric.
struct MetricValues {
  std::optional<double> metric;    ///< its value, where it was measured
  std::optional<double> compared;  ///< what trials are compared by at this step: the same, or tune.rung_metric's value
};

/// Sees everything, changes nothing. Called on the study's thread, between steps.
class StudyObserver {
 public:
  virtual ~StudyObserver() = default;
  virtual void on_start(const Trial&) {}
  /// A trial of another process that goes on here; `trial.step` steps of it are done.
  virtual void on_take_up(const Trial& trial) { on_start(trial); }
  /// The study goes on from a snapshot: what came after it never happened. There is no on_start of who is in it.
  virtual void on_resume(const StudyState&) {}
  virtual void on_steps(std::span<const StepResult>, std::span<const Trial* const>) {}
  virtual void on_evaluation(const Trial&, const EvalResult&, const MetricValues&) {}
  virtual void on_action(const Trial&, const Action&) {}  ///< carried out; of a stop just before on_end
  virtual void on_end(const Trial&) {}
  virtual void on_search_end(const StudyState&) {}  ///< what is trained after it is planned (StudyState::extras)
  virtual void before_decision() {}                 ///< around each call of the tuner's ask and report
  virtual void after_decision() {}
  virtual void on_round(std::int64_t /*round*/) {}  ///< after everything else of the round
};

/// A host program's own rule: sees the reports of all trials of a round, sorted by id, may return actions. It is
/// combined with the tuner's answer; the stronger action of a trial wins.
using StepCallback = std::function<void(std::span<const Report>, std::vector<Action>&)>;

/// Keeps snapshots. Called on the study's thread.
class StudySaver {
 public:
  virtual ~StudySaver() = default;
  /// Asked after each round, after on_round: is a snapshot wanted now? `evaluated`: a trial was in it; `last`: the user
  /// asked the study to end. Not asked where the study has ended by itself.
  virtual bool wants_save(std::int64_t round, bool evaluated, bool last) = 0;
  virtual void save(const StudyState& snapshot) = 0;
  /// Instead of save(): there was no memory for a snapshot after that round. The study goes on.
  virtual void not_saved(std::int64_t round) = 0;
  /// Returns once it holds no snapshot any more: there is no memory beside it.
  virtual void let_go() {}
};

struct StudyOptions {
  std::function<TrainConfig(const Params&)> configure;  ///< a trial's configuration from its parameters
  Metric metric = metrics().front();                    ///< what is tuned, and which way is better
  Metric rung_metric = metrics().front();               ///< what trials are compared by before their end
  bool tasks_at_rungs = false;                          ///< metrics of evaluators also before a trial's end
  bool has_validation = true;
  std::int64_t eval_every = 0;             ///< besides milestones and the end
  std::optional<std::int64_t> concurrent;  ///< nothing = as many as there are slots
  /// Of all lanes together. They may hold more, so that trials can move to faster ones (engine/placement.h); nobody
  /// sees those, or decisions would depend on the number of lanes. Nothing = all that the lanes hold.
  std::optional<std::int64_t> slots;
  std::optional<std::int64_t> budget_tokens;  ///< of all trials; steps, target and patience are the tuner's
  bool keep_last = false;                     ///< keep each trial's last state, whatever its metric
  bool with_default = true;                   ///< also train the default configuration, as a baseline
  /// Rounds that may be under way while the tuner is asked: 0, or 1 to keep a device busy meanwhile. A trial that was
  /// evaluated waits for the answer in any case, so decisions at milestones are the same; others take effect one step
  /// later, after the step under way, which is logged.
  std::size_t lag = 0;
  /// Rounds that a lane may be ahead of the tuner, instead of `lag`, where that changes nothing; 0: none. One lane
  /// alone is ahead by `lag`.
  std::int64_t ahead = 0;
  AfterSearch after;  ///< what is trained and measured once the search is over
  StepCallback on_step;
  /// What on_step has to remember, for a snapshot and back; both or neither.
  std::function<nlohmann::json()> save_callback;
  std::function<void(const nlohmann::json&)> load_callback;
  std::vector<StudySaver*> savers;
  StudyPeers* peers = nullptr;  ///< null: nobody else works on the study
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
  AfterResult after;                               ///< empty where the user ended the study
};

class Study {
 public:
  /// Lanes, tuner and observers must outlive the study.
  Study(StudyOptions options, Tuner& tuner, std::vector<Lane*> lanes, std::vector<StudyObserver*> observers);

  StudyResult run();

  /// Goes on from a snapshot as if nothing had happened: the tuner takes its state, lanes their trials. What the study
  /// was made with has to be what it was then.
  StudyResult resume(StudyState snapshot);

 private:
  StudyResult play();
  void search();
  void take_up(StudyState snapshot);
  std::optional<StudyState> snapshot();
  std::optional<StudyState> fitting_snapshot();
  std::shared_ptr<const TrialImage> capture(const Trial& trial);
  std::shared_ptr<const TrialImage> try_capture(const Trial& trial);
  void keep_best(Trial& trial);
  void save_where_wanted(bool evaluated);
  void start_default();
  void admit_new();
  bool ask_for_trials();
  std::vector<NewTrial> ask(std::int64_t room, std::vector<Action>& actions);
  void learn(const std::vector<PeerTrial>& news, std::vector<Action>& actions);
  void learn_from_peers();
  void take_up_from_peers();
  bool wait_for_peers();
  std::string start(Trial& trial);
  std::string place(Trial& trial, const std::function<TrainConfig()>& configure);
  void even_out();
  std::int64_t rounds_ahead() const;
  bool step_round();
  bool step_in_turn();
  bool step_with_lag();
  void judge(StudyRound round);
  void submit_step(std::size_t lane, std::int64_t round, const std::vector<Trial*>& trials, std::size_t beside);
  void submit_ahead(const std::vector<Trial*>& trials);
  bool submit_next(std::size_t lane, const std::vector<Trial*>& trials, std::size_t beside);
  void receive(std::int64_t round);
  StudyRound take_round(const std::vector<Trial*>& trials);
  void collect(StudyRound& round);
  void note_steps(StudyRound& round);
  void forget_under_way();
  void collect_all();
  void measure_speeds();
  void take_evaluations(StudyRound& round);
  bool wants_evaluation(const Trial& trial, std::int64_t step) const;
  std::vector<EvalResult> evaluate(const std::vector<TrialId>& ids, const EvalRequest& request);
  void take_evaluation(StudyRound& round, std::size_t i, const EvalResult& result);
  void note_evaluation(Trial& trial, const EvalResult& result, const MetricValues& values);
  void end_search();
  void end_all(const std::string& why);
  void run_extras();
  bool add_ablation();
  void start_extras();
  TrainConfig configured(const ExtraRun& run) const;
  void change_extras();
  bool changes_after(TrialId id, std::int64_t step) const;
  /// Weights to be measured; none: the base.
  struct Measured {
    TrainConfig config;
    std::shared_ptr<const TrialImage> image;
  };
  std::vector<EvalResult> measure(const std::vector<Measured>& who, const EvalRequest& request);
  std::optional<std::size_t> winner(const std::vector<Confirmed>& confirmed) const;
  AfterResult after_result();
  void judge_best(std::size_t best, AfterResult& result);
  void test_best(std::size_t best, AfterResult& result);
  void measure_base();
  void measure_unmeasured();
  void ask_tuner(const StudyRound& round);
  std::vector<Report> reports_of(const StudyRound& round) const;
  std::vector<Action> decide(const std::vector<Report>& reports);
  void carry_out(const StudyRound& round, std::vector<Action> actions);
  std::optional<EndReason> why_over() const;
  void apply(const std::vector<Action>& actions);
  void apply_copies(std::span<const Action> copies);
  void apply_one(const Action& action);
  void keep_for_audit(Trial& trial);
  void end(Trial& trial, TrialState state, const std::string& reason);
  StudyResult finish(AfterResult after);
  void drop_images_that_lost();
  std::optional<std::size_t> best_trial() const;
  std::vector<Trial*> running();
  std::vector<Trial*> ready();
  std::vector<PlacedTrial> placed(const std::vector<Trial*>& trials) const;
  std::vector<LaneRoom> room_of_lanes();
  std::size_t lane_for_new();
  std::int64_t free_slots();
  bool better(double a, double b) const;

  StudyOptions options_;
  Tuner& tuner_;
  LaneQueues lanes_;
  std::vector<StudyObserver*> observers_;
  std::vector<std::int64_t> slots_;  // of each lane
  std::int64_t ahead_ = 0;           // rounds
  std::size_t lag_ = 0;
  std::vector<LaneRounds> timed_;  // since speeds were measured
  std::vector<double> speeds_;     // of each lane
  StudyState state_;
  std::optional<EndReason> ended_;  // the one place that knows
};

}  // namespace finetune
