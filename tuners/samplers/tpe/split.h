// Which trials TPE calls good and which bad, and which parameters it models together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tuners/tuner.h"

namespace finetune {

/// Trials by what is to be learned from them; every list in id order.
struct TrialSplit {
  std::vector<const TrialRecord*> good, bad;
  std::vector<const TrialRecord*> finished;  ///< without the pending ones: what counts as experience
};

/// How many of n ranked trials are good: a tenth, rounded up, at most 25.
std::size_t good_count(std::size_t n);

/// Optuna's rule. Completed trials rank by their last value; stopped ones behind them by (last step, the later first;
/// last value), those without a value last. Failed trials are left out. Running and paused ones are bad with
/// `constant_liar`, else left out.
TrialSplit split_like_optuna(std::span<const TrialRecord> trials, bool constant_liar);

/// The same ranks, but what is compared are values at one step (observe(), with at least `enough` trials), whatever
/// became of the trials since; trials stopped before it rank behind. Failed trials are bad and do not count in n.
TrialSplit split_at_one_step(std::span<const TrialRecord> trials, std::size_t enough, bool constant_liar);

/// By parameter, then by trial: the number behind a value, the index of a choice, NaN where the trial has no such
/// value.
using ParamTable = std::vector<std::vector<double>>;
ParamTable table_of(const SearchSpace& space, std::span<const TrialRecord* const> trials);

/// Indices of parameters that always occur together; each seen parameter is in one group. Optuna's group=True.
using Groups = std::vector<std::vector<std::size_t>>;
Groups groups_in(const SearchSpace& space, std::span<const TrialRecord* const> trials);
/// The one group of parameters that every trial has; none where there is no such parameter. Optuna's group=False.
Groups shared_by_all(const SearchSpace& space, std::span<const TrialRecord* const> trials);

}  // namespace finetune
