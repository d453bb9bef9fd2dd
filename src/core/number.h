// Numbers as text and JSON: what is written reads back as the same double.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace finetune {

/// Shortest text that reads back as the same double; "nan", "inf", "-inf" for the others.
std::string number_to_text(double value);

/// The whole text as a double (no leading or trailing characters), or nothing. Accepts nan, inf, -inf.
std::optional<double> number_from_text(std::string_view text);

/// A JSON number, or the strings "nan", "inf", "-inf" (JSON has no such numbers).
nlohmann::ordered_json number_to_json(double value);

/// Inverse of number_to_json. Throws Error where the JSON is neither a number nor one of the three strings.
double number_from_json(const nlohmann::ordered_json& json);

}  // namespace finetune
