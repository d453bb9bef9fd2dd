// Columns of a record under the names that data.fields gives them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace finetune {

std::string column_of(const DataOptions& options, const std::string& field);

/// Names of all columns, in order.
std::vector<std::string> columns_of(const nlohmann::ordered_json& record);

/// Throw Error (bad_input, no location) naming the column where it is missing or no text. Numbers and booleans are
/// texts too, as they are written: labels are often 0 and 1.
const nlohmann::ordered_json& field(const nlohmann::ordered_json& record, const DataOptions& options,
                                    const std::string& name);
std::string text_of(const nlohmann::ordered_json& value, const std::string& column);
std::string text_field(const nlohmann::ordered_json& record, const DataOptions& options, const std::string& name);
/// "" for a column that is absent or null.
std::string optional_text(const nlohmann::ordered_json& record, const DataOptions& options, const std::string& name);

/// Null, "", [] and {}: a column that says nothing.
bool is_empty_value(const nlohmann::ordered_json& value);

}  // namespace finetune
