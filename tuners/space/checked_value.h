// Values that a person wrote, as values of a parameter.
#pragma once

#include <optional>
#include <string>

#include "tuners/space/space.h"

namespace finetune {

/// The value in its parameter's own type (a whole number for a real parameter becomes real). Nothing for one outside
/// the range, between the steps or not among the choices.
std::optional<Value> value_within(const ParameterSpec& spec, const Value& value);

/// The same, but what is not within throws Error (bad_input, naming `key` and what is allowed).
Value checked_value(const std::string& key, const ParameterSpec& spec, const Value& value);

/// The same from text; of choices the one that reads like it.
Value checked_text(const std::string& key, const ParameterSpec& spec, const std::string& text);

/// Gives the values of all conditions (`when`) the notation of the parameter that they speak of. Throws Error
/// (bad_input, naming search.NAME.when.OTHER) for one that this parameter never takes.
void settle_conditions(SearchSpace& space);

/// Choices as a person reads them: "8, 16, 32".
std::string choices_text(const std::vector<Value>& choices, const std::string& between = ", ");

/// Names of all parameters, in order.
std::vector<std::string> names_of(const SearchSpace& space);

}  // namespace finetune
