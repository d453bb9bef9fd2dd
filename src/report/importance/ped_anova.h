// PED-ANOVA (Watanabe, Bansal, Hutter: PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
// Subspaces, IJCAI 2023): how much the density of the best tenth of the trials along a parameter differs from that of
// all of them. It says what it took to be among the best; fANOVA (fanova.h) says what moved the metric anywhere.
#pragma once

#include <vector>

#include "report/importance/observations.h"

namespace finetune {

/// An axis each, 0 and up, not normalised: those of Optuna 4.9's PedAnovaImportanceEvaluator with its defaults (target
/// quantile 0.1, region: all trials, Scott's bandwidths on a grid of 50) and normalize=False. All 0 for fewer than
/// three trials.
std::vector<double> ped_anova(const PlainPoints& trials);

}  // namespace finetune
