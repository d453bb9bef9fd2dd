// The schedulers there are. Each is one file; the registry knows them by name.
#pragma once

#include <memory>

#include "tuners/registry.h"
#include "tuners/tuner.h"

namespace finetune {

/// Every trial runs to the end.
std::unique_ptr<Scheduler> make_none(const SchedulerRequest& request);

/// Asynchronous successive halving, stopping variant (Li et al., MLSys 2020, with stops instead of promotions). `guard`
/// (true): where survivors of a rung come to a higher one in clearly the opposite order, the rung stops nobody
/// (level_guard.h). Options `min_steps`, `reduction_factor`, `guard`.
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

/// Stops a trial whose values are worse than the leader's at the same steps by a one-sided Wilcoxon signed-rank test
/// (Optuna's WilcoxonPruner). Options `p_threshold` 0.1, `warmup_steps` 2 (pairs needed), `peers: running|completed`
/// (who may be the leader: the highest step, of these the best last value).
std::unique_ptr<Scheduler> make_wilcoxon(const SchedulerRequest& request);

/// Exits by the loss trajectory (ALTO, arXiv 2604.05426, section 4), each rule with its own switch. `warmup` 0.05,
/// `keep` 0.25: of those that have done this share of the steps only the best quarter goes on (`keep: 1` or `warmup:
/// 0`: all). `rising`: stops when validation loss (and the moving average of the training loss, where there is one)
/// rises over two intervals of a twentieth of the steps. `gap` 0.1 (0 = off): stops when validation loss is that much
/// above training loss, relatively, at two evaluations; never under maximize, and without training losses it has
/// nothing to see.
std::unique_ptr<Scheduler> make_early_exit(const SchedulerRequest& request);

/// Asynchronous successive halving with promotions (Li et al., MLSys 2020, algorithm 2): a trial pauses at each rung
/// and goes on, weights and all, once it is among the best there. `guard` (true): nobody pauses where a rung misleads,
/// as for asha. Options `min_steps`, `reduction_factor`, `guard`.
std::unique_ptr<Scheduler> make_asha_promotion(const SchedulerRequest& request);

/// Promotions up to a maximum resource that grows only while the two highest rungs rank their trials differently
/// (PASHA, Bohdal et al., ICLR 2023); epsilon of the soft ranking is estimated. Options `min_steps`,
/// `reduction_factor`.
std::unique_ptr<Scheduler> make_pasha(const SchedulerRequest& request);

/// Hyperband's brackets (Li et al., JMLR 2018), side by side and without waiting: each is a stopping asha; new trials
/// go where the bracket's share is furthest behind. `guard` (true): where trials that nobody selected rank differently
/// at a rung and at a higher one, the rung stops nobody and its bracket gets no more trials. Options `min_steps`,
/// `reduction_factor`, `guard`.
std::unique_ptr<Scheduler> make_hyperband(const SchedulerRequest& request);

/// Hyperband as in the paper: brackets one after the other, each halved when its whole cohort has arrived at a rung.
/// While it waits the next bracket starts. Options `min_steps`, `reduction_factor`.
std::unique_ptr<Scheduler> make_sync_hyperband(const SchedulerRequest& request);

/// Population-based training (Jaderberg et al., 2017): at every `interval` steps the worst copy weights and
/// hyperparameters of the best and explore. Options `interval`, `quantile`, `resample_probability`, `factors`,
/// `mutate`, `exploit: truncation|tournament` (the worst copy the best; or each meets one other and the worse of the
/// two copies). A population whose `diversity` (population.h) is below `min_diversity` (0.02; 0 = off) has collapsed:
/// then a copy gets wholly new mutated parameters with probability `fresh_rate` (0.5).
std::unique_ptr<Scheduler> make_pbt(const SchedulerRequest& request);

/// Population-based bandits (Parker-Holder et al., NeurIPS 2020): as pbt, but numbers are not perturbed; they maximise
/// the upper bound of a time-varying Gaussian process of the improvement in an interval (improvement_model.h). Choices
/// move to a neighbour. Options `interval`, `quantile`, `mutate`.
std::unique_ptr<Scheduler> make_pb2(const SchedulerRequest& request);

/// A schedule of hyperparameters that a population found, followed by every trial (Ray's
/// PopulationBasedTrainingReplay): changes, never copies or stops. Option `schedule`: a list of "STEP NAME=VALUE
/// NAME=VALUE ...", steps ascending from 1; the values hold from the step after STEP on. What a trial begins with is
/// the sampler's (tune.enqueue). The program fills both in from a run's folder (src/host/replay_source.h).
std::unique_ptr<Scheduler> make_replay(const SchedulerRequest& request);

}  // namespace finetune
