// The schedulers there are. Each is one file; the registry knows them by name.
#pragma once

#include <memory>

#include "tuners/registry.h"
#include "tuners/tuner.h"

namespace finetune {

/// Every trial runs to the end.
std::unique_ptr<Scheduler> make_none(const SchedulerRequest& request);

/// Asynchronous successive halving, stopping variant (Li et al., MLSys 2020, with stops instead of promotions). Options
/// `min_steps`, `reduction_factor`.
std::unique_ptr<Scheduler> make_asha(const SchedulerRequest& request);

/// Stops a trial whose best value so far is strictly worse than the given percentile of its peers' values at the same
/// step (Golovin et al., KDD 2017, section 3.2.2, as Optuna's PercentilePruner does it). Options `percentile`,
/// `warmup_steps`, `interval`, `min_peers`, `peers: running|completed`. median: percentile 50.
std::unique_ptr<Scheduler> make_percentile(const SchedulerRequest& request);
std::unique_ptr<Scheduler> make_median(const SchedulerRequest& request);

/// Stops below `lower` or above `upper` (in the metric's own direction) after `warmup_steps`.
std::unique_ptr<Scheduler> make_threshold(const SchedulerRequest& request);

/// Stops when the best of the last patience + 1 values is worse than the best before them by more than `min_delta`.
std::unique_ptr<Scheduler> make_patient(const SchedulerRequest& request);

/// Population-based training (Jaderberg et al., 2017): at every `interval` steps the worst copy weights and
/// hyperparameters of the best and explore. Options `interval`, `quantile`, `resample_probability`, `factors`, `mutate`.
std::unique_ptr<Scheduler> make_pbt(const SchedulerRequest& request);

}  // namespace finetune
