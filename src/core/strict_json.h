// JSON as it comes from files: repeated keys, deep nesting and trailing text are errors, which nlohmann's DOM parser
// would let pass.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace finetune {

/// Parses one JSON document. Throws Error (bad_input) with `where` for bad syntax (with its position), repeated keys,
/// nesting deeper than `max_depth`, and invalid UTF-8.
nlohmann::ordered_json parse_strict_json(std::string_view where, std::string_view text, int max_depth = 64);

/// Reads and parses a file.
nlohmann::ordered_json read_json_file(const std::string& path, int max_depth = 64);

}  // namespace finetune
