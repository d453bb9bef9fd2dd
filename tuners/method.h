// Sampler and scheduler by one name (key tune.method), and the choice of both from what is known before a study starts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tuners/space/space.h"

namespace finetune {

struct Method {
  std::string sampler, scheduler;  ///< names of the registry
};

/// bohb = tpe + sync_hyperband (Falkner et al., 2018), mobster = gp + asha (Klein et al., 2020), optuna = tpe + median,
/// optuna_hyperband = tpe + hyperband; SAMPLER+SCHEDULER; a sampler alone runs every trial to the end, a scheduler
/// alone judges random configurations. Throws Error (bad_input) naming tune.method and what is allowed. `auto` is
/// choose_method's, not a name here.
Method method_by_name(const std::string& name);

/// What choose_method looks at.
struct MethodFacts {
  std::optional<std::int64_t> cells;  ///< configurations in the space; nothing for a continuum
  std::int64_t parameters = 1;
  std::int64_t trials = 32;       ///< trials started in all
  double full_trials = 32;        ///< the study's budget in full-length trials
  std::int64_t side_by_side = 1;  ///< trials that run at once
  std::int64_t steps = 1;         ///< of a full-length trial
  bool all_may_change = false;    ///< every searched parameter may change while a trial trains
  /// Trials of earlier studies that inform the sampler; nothing where none are asked for, 0 while they are not read.
  std::optional<std::int64_t> past = {};
};

struct MethodChoice {
  Method method;
  std::string why;  ///< one sentence for people
};

/// The first rule that holds (with trials of earlier studies the fourth: they are there for a model):
/// 1. a discrete space that the budget covers whole: grid;
/// 2. a population's worth of trials side by side (8 or more, all of them at once, affordable to the end), long enough
/// to
///    exploit five times, and only parameters that may change in training: pbt;
/// 3. too few trials for a model (under 12), or so many side by side that it would see fewer than three generations:
///    sobol + asha;
/// 4. up to 100 trials, past ones included, and 20 parameters: gp; beyond, tpe; both with hyperband.
/// Trials of one step have nothing to stop: the scheduler is none, and rule 4 decides from 12 trials on.
MethodChoice choose_method(const MethodFacts& facts);

/// Cells of the product of all parameters, conditions ignored; nothing for a continuum or more than a billion.
std::optional<std::int64_t> count_cells(const SearchSpace& space);

/// Steps that `trials` trials are expected to take under a scheduler of this name, when survivors are as many as its
/// rungs keep. Schedulers that stop by value (median, patient ...) and those that stop nobody: all steps, the most it
/// can be.
double expected_steps(const std::string& scheduler, std::int64_t trials, std::int64_t steps, std::int64_t min_steps,
                      std::int64_t eta);

/// "gp + hyperband: ...; about 9.5 of 32 full-length trials (1900 of 6400 steps)".
std::string describe(const MethodChoice& choice, const MethodFacts& facts, std::int64_t min_steps);

}  // namespace finetune
