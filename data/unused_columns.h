// What a format leaves out of a record: nothing is dropped without a word.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace finetune {

/// Columns that hold something and that `format` does not read. None for patterns, which name what they want, and none
/// where `handed_over`: a template that gets all columns. Throws Error (bad_input, no location) for one that would
/// change what the model is asked (system, history, tools) and has no place in the format.
std::vector<std::string> unused_columns(const nlohmann::ordered_json& record, const std::string& format,
                                        const DataOptions& options, bool handed_over);

}  // namespace finetune
