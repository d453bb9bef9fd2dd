// A value of an Arrow column as the JSON that a row of a .jsonl file would have.
#pragma once

#include <arrow/array.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace finetune {

/// Texts (also bytes that are UTF-8), whole numbers, reals (float32 as its shortest text reads, what is not finite as
/// null), bools, lists, structs as objects, maps with texts as keys as objects, categories as what they stand for;
/// dates, times and decimals as text. Throws Error (bad_input, no location) for bytes that are no text, for other types
/// and for values nested deeper than 32 levels.
nlohmann::ordered_json cell_json(const arrow::Array& array, std::int64_t row, int depth = 0);

/// Puts `value` under `name`, which the file chose. Throws Error (bad_input, no location) for a name that is no text or
/// is there already.
void put_named(nlohmann::ordered_json& object, const std::string& name, nlohmann::ordered_json value);

}  // namespace finetune
