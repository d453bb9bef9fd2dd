// Methods side by side on simulated curves of a LoRA sweep: seconds, no model, no data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/compare/table.h"
#include "config/run_config.h"

namespace finetune {

struct CompareOptions {
  std::vector<std::string> methods;
  std::int64_t seeds = 5;  ///< studies a method, from tune.seed on
};

/// Every method spends tune.budget.steps steps, or tune.trials full trials' worth, however many trials that makes; with
/// tune.concurrent (or 4) side by side, and again with 1, 4 and 16. Searched are `search`, or without it learning rate,
/// rank, batch size, warm-up, dropout and weight decay. A method that cannot search this space is left out with the
/// reason; throws Error (bad_input) when none can, for unknown methods, and for what the curves do not know.
ComparisonTable compare_simulated(const RunConfig& config, const CompareOptions& options);

}  // namespace finetune
