// Methods side by side on simulated curves of a LoRA sweep: seconds, no model, no data.
#pragma once

#include "host/compare/sweep.h"

namespace finetune {

/// `config.search`, or without it learning rate, rank, batch size, warm-up, dropout and weight decay, is searched;
/// methods and budget as in compare/sweep.h, of which the curves know steps alone. Without `widths`: tune.concurrent
/// (or 4) side by side, and again with 1, 4 and 16. Throws Error (bad_input) also for what the curves do not know.
ComparisonTable compare_simulated(RunConfig config, CompareOptions options);

}  // namespace finetune
