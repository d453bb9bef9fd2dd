// Everything that a study knows, as plain values: what Study's functions work on, and what a save keeps (study_json.h).
// Torch-free; weights are in here only as images, which are immutable and shared.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <list>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "core/metric.h"
#include "core/trial.h"
#include "engine/end_reason.h"
#include "engine/lane.h"

namespace finetune {

/// The default configuration: trained as a baseline, never shown to the tuner.
constexpr TrialId kDefaultRun{-1};
/// A trial of the search. The default configuration and runs after the search (ExtraRun) are none.
constexpr bool is_listed(TrialId id) {
  return id.value >= 0;
}
constexpr bool is_extra(TrialId id) {
  return id < kDefaultRun;
}
/// Of the runs after the search, in their order.
constexpr TrialId extra_id(std::size_t index) {
  return {kDefaultRun.value - 1 - static_cast<std::int64_t>(index)};
}

/// Something that happened to a trial besides plain steps, for trial.json and the report.
struct LineageEvent {
  std::int64_t step = 0;  ///< after this many steps of the trial
  Action::Do what = Action::Do::change;
  TrialId from;   ///< copy: the donor
  Params params;  ///< change: what changed; copy: all parameters afterwards
};

/// Rounds in which a trial stepped without a break, 1-based, both ends included.
struct RoundSpan {
  std::int64_t first = 0, last = 0;
};

/// Everything the study knows of a trial.
struct Trial {
  TrialId id;
  Params params;       ///< the searched parameters, as they are now
  Params first;        ///< the same as it began, before a population changed any
  TrainConfig config;  ///< with params applied
  TrialState state = TrialState::running;
  std::string reason;  ///< "" for completed
  std::string label;   ///< of a run after the search what it is, for people: "trial 7 with seed 1"
  std::int64_t step = 0, tokens = 0;
  double train_loss = std::numeric_limits<double>::quiet_NaN();  ///< last finite one
  std::optional<double> metric;  ///< last finite evaluation of tune.metric, in the user's direction
  EvalResult evaluation;         ///< the one that `metric` is of
  std::int64_t metric_step = 0;
  std::optional<double> best_metric;  ///< best evaluation
  std::int64_t best_step = 0;
  std::vector<LineageEvent> lineage;
  std::vector<RoundSpan> rounds;  ///< whose results have come; ascending

  /// The hyperparameters that made the present weights, through copies: those at step 0 and what changed after a step.
  Params origin;
  std::vector<HyperparameterChange> schedule;
  Params best_origin;  ///< the same of the weights at best_step
  std::vector<HyperparameterChange> best_schedule;

  bool elsewhere = false;  ///< another process trains it: parameters and state alone are known
  std::size_t lane = 0;
  bool resident = false;
  std::int64_t submitted = 0;               ///< steps handed to the lane; `step` counts those whose results have come
  bool awaits_answer = false;               ///< was evaluated: does not step before the tuner has seen it
  std::shared_ptr<const TrialImage> image;  ///< while paused; in a snapshot of whoever is resident too
  std::shared_ptr<const TrialImage> best_image;   ///< the state at best_step; dropped once it cannot win any more
  std::shared_ptr<const TrialImage> last_image;   ///< the state when it ended; only with StudyOptions::keep_last
  std::shared_ptr<const TrialImage> audit_image;  ///< the state when it was stopped, of one that will run on
};

/// A run once the search is over (engine/after_search.h): trained as a trial is, shown to no tuner.
struct ExtraRun {
  enum class Kind { confirm, audit, ablation };
  Kind kind = Kind::confirm;
  std::optional<TrialId> of;                  ///< confirm, audit: the trial
  std::int64_t seed_added = 0;                ///< to train.seed
  std::string parameter;                      ///< ablation: the one that changed
  std::optional<std::int64_t> stop_at;        ///< absent: the configuration's own end
  std::vector<HyperparameterChange> changes;  ///< that a population made
  bool started = false;
  Trial trial;  ///< before it starts parameters alone, and of an audit image and step
};

/// What one round collects; the lists are in the order of `trials` (sorted by id, the default run first).
struct StudyRound {
  std::int64_t number = 0;  ///< 1-based
  std::vector<TrialId> trials;
  std::vector<std::size_t> lanes;  ///< where each was submitted; not of early ones
  std::vector<StepResult> steps;
  std::vector<std::int64_t> tokens;  ///< of the trial, up to this step
  std::vector<std::optional<double>> metrics;
  bool collected = false;  ///< its steps are in the trials' books
  bool early = false;      ///< steps of lanes that are ahead, of whom they are ahead: booked when it is their turn

  bool is_broken(std::size_t i) const;  ///< it cannot go on, or its loss, gradient or metric is not finite
};

struct StudyState {
  std::deque<Trial> trials;                        ///< index = id
  std::optional<Trial> default_run;                ///< the default configuration, kDefaultRun
  std::optional<double> base_metric;               ///< the untouched base
  std::int64_t steps = 0, tokens = 0, rounds = 0;  ///< of the listed trials
  std::int64_t judged_tokens = 0;                  ///< of the rounds that the tuner has seen
  std::vector<Action> waiting;                     ///< resumes that found every slot taken: they go before new trials
  /// Submitted and not yet judged, oldest first; in a snapshot all are collected or early.
  std::list<StudyRound> in_flight;

  std::optional<EndReason> search_ended;  ///< the tuner has seen its last; absent: the search goes on
  std::int64_t search_rounds = 0;
  std::deque<ExtraRun> extras;  ///< trained after it

  // Of a snapshot alone:
  nlohmann::json tuner;                       ///< Tuner::save
  nlohmann::json callback;                    ///< StudyOptions::save_callback
  std::vector<std::int64_t> tokens_per_pass;  ///< Lane::tokens_per_pass of each lane

  Trial& trial(TrialId id);
  const Trial& trial(TrialId id) const;
  const ExtraRun& extra(TrialId id) const;
};

}  // namespace finetune
