#include "tuners/space/checked_value.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"

namespace finetune {
namespace {

// A text that looks like a number or a boolean is told apart from one.
std::string shown(const Value& value) {
  const std::string text = to_text(value);
  const bool plain = !std::holds_alternative<std::string>(value) ||
                     (!number_from_text(text) && text != "true" && text != "false" && !text.empty());
  return plain ? text : "the text \"" + text + "\"";
}

bool is_number(const Value& value) {
  return std::holds_alternative<std::int64_t>(value) || std::holds_alternative<double>(value);
}

[[noreturn]] void refuse(const std::string& key, const ParameterSpec& spec, const Value& value) {
  if (!spec.choices.empty())
    throw bad_input("", key + " is " + shown(value) + "; allowed: " + choices_text(spec.choices));
  if (!is_number(value)) throw bad_input("", key + " must be a number, not " + shown(value));
  const double x = as_number(value);
  if (x >= spec.low && x <= spec.high)
    throw bad_input("",
                    key + " is " + to_text(value) + ", between two steps; the nearest is " + to_text(clip(spec, x)));
  throw bad_input("", key + " is " + to_text(value) + "; allowed: " + number_to_text(spec.low) + " to " +
                          number_to_text(spec.high));
}

}  // namespace

std::optional<Value> value_within(const ParameterSpec& spec, const Value& value) {
  if (!spec.choices.empty()) {
    const auto index = choice_index(spec, value);
    return index ? std::optional(spec.choices[*index]) : std::nullopt;
  }
  if (!is_number(value)) return std::nullopt;
  const double x = as_number(value);
  if (!(x >= spec.low && x <= spec.high)) return std::nullopt;
  const Value nearest = clip(spec, x);
  // A step such as 0.1 is not exact in binary: a value written by hand may lie a rounding away from it.
  if (std::abs(as_number(nearest) - x) <= 1e-8 * spec.spacing()) return nearest;
  return std::nullopt;
}

Value checked_value(const std::string& key, const ParameterSpec& spec, const Value& value) {
  if (auto within = value_within(spec, value)) return *std::move(within);
  refuse(key, spec, value);
}

Value checked_text(const std::string& key, const ParameterSpec& spec, const std::string& text) {
  for (const Value& choice : spec.choices) {
    if (to_text(choice) == text) return choice;
  }
  const auto number = number_from_text(text);
  return checked_value(key, spec, number ? Value(*number) : Value(text));
}

void settle_conditions(SearchSpace& space) {
  for (auto& spec : space.parameters) {
    for (auto& [other, values] : spec.when) {
      const ParameterSpec* parent = space.find(other);
      if (parent == nullptr) continue;
      for (Value& value : values) value = checked_value("search." + spec.name + ".when." + other, *parent, value);
    }
  }
}

std::string choices_text(const std::vector<Value>& choices, const std::string& between) {
  std::vector<std::string> texts;
  for (const Value& choice : choices) texts.push_back(to_text(choice));
  return join(texts, between);
}

std::vector<std::string> names_of(const SearchSpace& space) {
  std::vector<std::string> names;
  for (const auto& spec : space.parameters) names.push_back(spec.name);
  return names;
}

}  // namespace finetune
