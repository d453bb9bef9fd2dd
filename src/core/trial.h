// What the engine says to a tuner (Report) and what the tuner answers (Action). Plain values.
//
// A trial is known everywhere by its TrialId. Who keeps what of it:
//
//   Trial         engine/study.h      all that the study knows: configuration, state, lineage, lane, images
//   TrialRecord   tuners/tuner.h      its past as samplers and schedulers see it; in asktell there is nothing else
//   PackTrial     engine/pack_data.h  what a lane computes it with: values that decide a step, and nothing else
//   TrialFacts    report/facts.h      its line in a report: what report.json holds, so that it can be read back
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "core/value.h"

namespace finetune {

/// Identifies a trial for ever: issued in order from 0, never reused, and not a slot.
struct TrialId {
  std::int64_t value = -1;
  friend auto operator<=>(const TrialId&, const TrialId&) = default;
};

/// What a trial says after a step. Reports of one round come sorted by trial id.
struct Report {
  TrialId trial;
  std::int64_t step = 0;                ///< optimizer steps done, 1-based
  std::int64_t tokens = 0;              ///< cumulative training tokens of the trial
  std::optional<double> train_loss;     ///< before this step's update; absent in asktell
  std::optional<double> metric;         ///< tune.metric on validation data; only where it was evaluated
  std::optional<double> gradient_norm;  ///< before clipping
};

/// What the tuner wants done before a trial's next step. Stronger ones win: stop > pause > copy > change > resume.
struct Action {
  enum class Do {
    stop,    ///< ends the trial; its slot is freed, its last and best weights are kept on the host
    pause,   ///< keeps weights, moments, step and data position; the trial uses no slot time
    resume,  ///< goes on with a paused trial, from exactly where it was
    change,  ///< new values for the hyperparameters in `params`; weights and step stay
    copy     ///< weights and moments of `from` replace the trial's own; `params` are all its parameters afterwards
  };
  TrialId trial;
  Do what = Do::stop;
  Params params;       ///< change: those that differ; copy: all
  TrialId from;        ///< copy: the donor
  std::string reason;  ///< for people: "rung 9: 7th of 12"
};

/// How a trial ended.
enum class TrialState { running, paused, completed, stopped, failed };

const char* to_text(TrialState state);
const char* to_text(Action::Do what);

/// Which way the metric gets better. Everything inside the tuners minimises; this is the one place that turns a sign.
enum class Direction { minimize, maximize };
inline double to_minimized(double metric, Direction direction) {
  return direction == Direction::minimize ? metric : -metric;
}

}  // namespace finetune
