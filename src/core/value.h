// Values of hyperparameters, as they come from a search space and go into JSON and YAML.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace finetune {

/// A scalar that keeps its YAML type: 8 is a whole number, "8" a string, true a boolean.
using Value = std::variant<bool, std::int64_t, double, std::string>;

/// Parameters by name, in the order of the search space. Small (tens of entries), so a flat list.
using Params = std::vector<std::pair<std::string, Value>>;

/// The value of `name`, or nullptr where it is absent.
const Value* find_param(const Params& params, const std::string& name);

/// Sets or appends.
void set_param(Params& params, const std::string& name, Value value);

/// Equal in every notation: numbers by what they are worth (8 is 8.0), texts and booleans only to their own kind.
bool same_value(const Value& a, const Value& b);

/// The number inside a bool, integer or double; throws Error for a string.
double as_number(const Value& value);

/// As JSON: numbers stay numbers and round-trip exactly; non-finite ones become the strings "nan", "inf", "-inf".
nlohmann::ordered_json to_json(const Value& value);
nlohmann::ordered_json to_json(const Params& params);

/// Inverse of to_json. Throws Error for arrays, objects and null.
Value value_from_json(const nlohmann::ordered_json& json);
Params params_from_json(const nlohmann::ordered_json& json);

/// As a person reads it: 0.0003, 16, true, linear.
std::string to_text(const Value& value);

}  // namespace finetune
