// The objective of Pack::terms: every loss token by a loss and a weight of its own, so trials that learn by different
// losses share a pass.
#pragma once

#include "models/objective.h"

namespace finetune {

/// Rows without a term have the mean negative log-likelihood of sft, bit for bit. Figures: loss, weights applied and
/// divisors not; nll.
const Objective& token_losses();

}  // namespace finetune
