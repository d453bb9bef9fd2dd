// Objectives of preferences, as TRL 1.16 defines them: losses are means over the examples of a batch. Figures: loss,
// preference_accuracy, reward_margin.
#pragma once

#include "models/objective.h"

namespace finetune {

/// Direct preference optimization (arXiv 2305.18290): -log sigmoid(beta d), d being by how much the chosen answer's
/// log-likelihood has risen more than the rejected one's since the reference. Reward: beta times what it has risen by.
const Objective& dpo();

/// SimPO (arXiv 2405.14734), without a reference: -log sigmoid(beta d - gamma), d the difference of the answers' mean
/// log-likelihoods. Reward: beta times the mean.
const Objective& simpo();

/// ORPO (arXiv 2403.07691), without a reference: the mean nll of the chosen sequences' tokens, prompts included, and
/// -beta log sigmoid of the answers' log odds ratio, odds of mean log-likelihoods. Reward: beta times the mean.
const Objective& orpo();

/// KTO (arXiv 2402.01306), one answer an example, desirable or not: 1 - sigmoid(beta (r - d)), for an undesirable one
/// 1 - sigmoid(beta (d - r)), r being what its log-likelihood has risen by since the reference and d the trial's
/// divergence from it. Accuracy: the share of answers on the right side of d. Margin: mean reward beta r of the
/// desirable less that of the others.
const Objective& kto();

}  // namespace finetune
