// The loss of each named part of the validation data, beside that of all of it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/metric.h"
#include "engine/pack_data.h"

namespace finetune {

/// Into result.task, as valid_loss.NAME (kPartLoss): the mean over the part's loss tokens. `names`: by file of the
/// data, "" for none; empty where there are no parts. `nll`: by example of the batch, the sum over its loss tokens. A
/// part without a loss token has none.
void add_part_losses(const std::vector<std::string>& names, const Batch& batch, std::span<const double> nll,
                     EvalResult& result);

}  // namespace finetune
