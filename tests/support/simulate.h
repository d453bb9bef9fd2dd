// A study played on simulated curves, and how good the configuration is that it chose.
#pragma once

#include <algorithm>
#include <limits>
#include <memory>

#include "host/compare/play_curves.h"
#include "support/curves.h"
#include "support/starts.h"
#include "tuners/registry.h"

namespace finetune::testing {

struct SimulatedStudy {
  std::string sampler = "random", scheduler = "none";
  Params sampler_options, scheduler_options;
  Params start;  ///< the user's guess
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
      : problem_(problem),
        study_(study),
        tuner_(options(), sampler(), scheduler()),
        player_(tuner_, start(), study.concurrent) {}

  SimulatedResult run() {
    bool halfway = false;
    while (player_.steps() < study_.steps && player_.round()) {
      if (!halfway && 2 * player_.steps() >= study_.steps) halfway = true, result_.half_regret = regret();
    }
    result_.regret = regret();
    if (!halfway) result_.half_regret = result_.regret;
    result_.steps = player_.steps();
    result_.completed = std::count_if(tuner_.trials().begin(), tuner_.trials().end(),
                                      [](const TrialRecord& trial) { return trial.state == TrialState::completed; });
    result_.trials = static_cast<std::int64_t>(tuner_.trials().size());
    return result_;
  }
  const Tuner& tuner() const { return tuner_; }

 private:
  TunerOptions options() const {
    return {.trials = study_.trials,
            .max_steps = problem_.steps,
            .concurrent = study_.concurrent,
            .budget_steps = study_.steps,
            .seed = study_.seed};
  }
  std::unique_ptr<Sampler> sampler() const {
    return make_sampler(study_.sampler, {study_.sampler_options, problem_.space, study_.seed,
                                         first_trials(study_.start), study_.start});
  }
  std::unique_ptr<Scheduler> scheduler() const {
    return make_scheduler(study_.scheduler, {study_.scheduler_options, problem_.space, options()});
  }

  CurvePlayer::Start start() const {
    return [&problem = problem_, seed = study_.seed](TrialId trial) { return problem.start(seed, trial.value); };
  }

  double regret() const {
    const TrialRecord* best = tuner_.best();
    if (best == nullptr) return std::numeric_limits<double>::infinity();
    const bool changed = player_.changed(best->id);
    return (changed ? best->values.back().second : problem_.value(best->params)) - problem_.minimum;
  }

  const CurveProblem& problem_;
  SimulatedStudy study_;
  Tuner tuner_;
  CurvePlayer player_;
  SimulatedResult result_;
};

inline SimulatedResult simulate(const CurveProblem& problem, const SimulatedStudy& study) {
  return Simulator(problem, study).run();
}

}  // namespace finetune::testing
