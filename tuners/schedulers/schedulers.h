// The schedulers there are: what each does and where it is from. Each is one file, with its options as data (what they
// are is in --help); the registry lists them.
#pragma once

#include "tuners/registry.h"

namespace finetune {

/// Every trial runs to the end.
SchedulerKind none_kind();

/// Asynchronous successive halving, stopping variant (Li et al., MLSys 2020, with stops instead of promotions). With
/// `guard`: where survivors of a rung come to a higher one in clearly the opposite order, the rung stops nobody
/// (level_guard.h).
SchedulerKind asha_kind();

/// Stops a trial whose best value so far is strictly worse than the given percentile of its peers' values at the same
/// look (Golovin et al., KDD 2017, section 3.2.2, as Optuna's PercentilePruner does it). median: percentile 50.
SchedulerKind percentile_kind();
SchedulerKind median_kind();

/// Stops below `lower` or above `upper`, in the metric's own direction.
SchedulerKind threshold_kind();

/// Stops when the best of the last patience + 1 values is worse than the best before them by more than `min_delta`.
SchedulerKind patient_kind();

/// Stops a trial whose values are worse than the leader's at the same steps by a one-sided Wilcoxon signed-rank test
/// (Optuna's WilcoxonPruner). The leader has the highest step and of these the best last value.
SchedulerKind wilcoxon_kind();

/// Exits by the loss trajectory (ALTO, arXiv 2604.05426, section 4), each rule with its own switch: of those that have
/// done `warmup` of the steps only the best `keep` go on; `rising` stops when validation loss (and the moving average
/// of the training loss, where there is one) rises over two intervals of a twentieth of the steps; `gap` stops when
/// validation loss is that much above training loss, relatively, at two evaluations; never under maximize, and without
/// training losses it has nothing to see.
SchedulerKind early_exit_kind();

/// Asynchronous successive halving with promotions (Li et al., MLSys 2020, algorithm 2): a trial pauses at each rung
/// and goes on, weights and all, once it is among the best there. With `guard` nobody pauses where a rung misleads.
SchedulerKind asha_promotion_kind();

/// Promotions up to a maximum resource that grows only while the two highest rungs rank their trials differently
/// (PASHA, Bohdal et al., ICLR 2023); epsilon of the soft ranking is estimated.
SchedulerKind pasha_kind();

/// Hyperband's brackets (Li et al., JMLR 2018), side by side and without waiting: each is a stopping asha; new trials
/// go where the bracket's share is furthest behind. With `guard`: where trials that nobody selected rank differently at
/// a rung and at a higher one, the rung stops nobody and its bracket gets no more trials.
SchedulerKind hyperband_kind();

/// Hyperband as in the paper: brackets one after the other, each halved when its whole cohort has arrived at a rung.
/// While it waits the next bracket starts.
SchedulerKind sync_hyperband_kind();

/// Every trial runs to `share` of the steps and waits there; when all have come or ended, the best `keep` go on to the
/// end, and the next best in the place of one that fails. The others stop when the chosen ones are at the end. With
/// share one epoch this is i-Epoch (Egele et al., arXiv 2307.15422 and 2404.04111), over which more
/// elaborate discarding was found to add little; no share of the steps is published. Under a budget in steps it starts
/// as many trials as leave room for the chosen ones (cut_size.h).
SchedulerKind cut_kind();

/// Population-based training (Jaderberg et al., 2017): at every `interval` steps the worst copy weights and
/// hyperparameters of the best and explore. A population whose `diversity` (population.h) is below `min_diversity` has
/// collapsed: then a copy gets wholly new mutated parameters with probability `fresh_rate`.
SchedulerKind pbt_kind();

/// Population-based bandits (Parker-Holder et al., NeurIPS 2020): as pbt, but numbers are not perturbed; they maximise
/// the upper bound of a time-varying Gaussian process of the improvement in an interval (improvement_model.h). Choices
/// move to a neighbour.
SchedulerKind pb2_kind();

/// A schedule of hyperparameters that a population found, followed by every trial (Ray's
/// PopulationBasedTrainingReplay): changes, never copies or stops. `schedule`: a list of "STEP NAME=VALUE
/// NAME=VALUE ...", steps ascending from 1; the values hold from the step after STEP on. What a trial begins with is
/// the sampler's (tune.enqueue). The program fills both in from a run's folder (src/host/replay_source.h).
SchedulerKind replay_kind();

}  // namespace finetune
