// What is said of the parts of data.train and data.valid: how much each has, and how often it is drawn.
#pragma once

#include <string>
#include <vector>

#include "config/run_config.h"
#include "engine/open_data.h"

namespace finetune {

/// One line a part; none where entries are paths alone. Of a mixture each part's share of the draws, and how often that
/// goes through its examples in train.steps. train.epochs has been turned into steps.
std::vector<std::string> part_lines(const RunConfig& config, const OpenedData& data);

}  // namespace finetune
