// Plays a study on simulated curves: the host's side of the contract, one step of every running trial a round.
#pragma once

#include <limits>
#include <map>
#include <memory>
#include <optional>

#include "support/curves.h"
#include "tuners/registry.h"

namespace finetune::testing {

struct SimulatedStudy {
  std::string sampler = "random", scheduler = "none";
  Params sampler_options, scheduler_options;
  std::int64_t trials = 1'000'000, concurrent = 1;
  std::int64_t steps = 0;  ///< for all trials together
  std::uint64_t seed = 0;
};

struct SimulatedResult {
  double regret = 0;       ///< of the trial that the tuner calls best: its noise-free value at the full budget
  double half_regret = 0;  ///< the same after half of the steps
  std::int64_t steps = 0, trials = 0, completed = 0;
};

class Simulator {
 public:
  Simulator(const CurveProblem& problem, const SimulatedStudy& study)
      : problem_(problem), study_(study), tuner_(options(), sampler(), scheduler()) {}

  SimulatedResult run() {
    bool halfway = false;
    while (result_.steps < study_.steps && round()) {
      if (!halfway && 2 * result_.steps >= study_.steps) halfway = true, result_.half_regret = regret();
    }
    result_.regret = regret();
    if (!halfway) result_.half_regret = result_.regret;
    result_.trials = static_cast<std::int64_t>(tuner_.trials().size());
    return result_;
  }
  const Tuner& tuner() const { return tuner_; }

 private:
  struct Run {
    std::unique_ptr<CurveRun> weights;
    bool changed = false;  // its parameters were not the same all along
  };

  TunerOptions options() const {
    return {.trials = study_.trials, .max_steps = problem_.steps, .concurrent = study_.concurrent, .seed = study_.seed};
  }
  std::unique_ptr<Sampler> sampler() const {
    return make_sampler(study_.sampler, {study_.sampler_options, problem_.space, study_.seed});
  }
  std::unique_ptr<Scheduler> scheduler() const {
    return make_scheduler(study_.scheduler, {study_.scheduler_options, problem_.space, options()});
  }

  bool round() {
    std::vector<Action> actions;
    for (const NewTrial& trial : tuner_.ask(study_.concurrent, actions)) {
      runs_[trial.id].weights = problem_.start(study_.seed, trial.id.value);
    }
    copy_weights(actions);
    std::vector<Report> reports;
    for (const auto& [id, run] : runs_) {
      const TrialRecord& trial = *tuner_.find(id);
      if (trial.state != TrialState::running) continue;
      reports.push_back({.trial = id, .step = trial.step + 1, .metric = run.weights->step(trial.params)});
    }
    if (reports.empty()) return false;
    result_.steps += static_cast<std::int64_t>(reports.size());
    actions.clear();
    tuner_.report(reports, actions);
    for (const Report& report : reports) note_end(*tuner_.find(report.trial));
    copy_weights(actions);
    return true;
  }

  void note_end(const TrialRecord& trial) {
    if (trial.state == TrialState::completed) ++result_.completed;
    if (trial.state != TrialState::running && trial.state != TrialState::paused) runs_.at(trial.id).weights.reset();
  }

  double regret() const {
    const TrialRecord* best = tuner_.best();
    if (best == nullptr) return std::numeric_limits<double>::infinity();
    const bool changed = runs_.at(best->id).changed;
    return (changed ? best->values.back().second : problem_.value(best->params)) - problem_.minimum;
  }

  // All copies of one answer are made at once.
  void copy_weights(const std::vector<Action>& actions) {
    std::map<TrialId, std::unique_ptr<CurveRun>> copies;
    for (const Action& action : actions) {
      if (action.what == Action::Do::copy) copies[action.trial] = runs_.at(action.from).weights->clone();
    }
    for (auto& [id, weights] : copies) runs_[id] = {std::move(weights), true};
  }

  const CurveProblem& problem_;
  SimulatedStudy study_;
  Tuner tuner_;
  std::map<TrialId, Run> runs_;
  SimulatedResult result_;
};

inline SimulatedResult simulate(const CurveProblem& problem, const SimulatedStudy& study) {
  return Simulator(problem, study).run();
}

}  // namespace finetune::testing
