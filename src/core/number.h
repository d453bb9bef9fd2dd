// Numbers as text and JSON: what is written reads back as the same double.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace finetune {

/// Shortest text that reads back as the same double; "nan", "inf", "-inf" for the others.
std::string number_to_text(double value);

/// low + k x step as a person computes it, in decimals: 0 + 3 x 0.1 is 0.3, not 0.30000000000000004.
double stepped_value(double low, double step, std::int64_t k);

/// The whole text as a double (no leading or trailing characters), or nothing. Accepts nan, inf, -inf.
std::optional<double> number_from_text(std::string_view text);

/// A JSON number, or the strings "nan", "inf", "-inf" (JSON has no such numbers).
nlohmann::ordered_json number_to_json(double value);

/// Inverse of number_to_json. Throws Error where the JSON is neither a number nor one of the three strings.
double number_from_json(const nlohmann::ordered_json& json);

}  // namespace finetune
