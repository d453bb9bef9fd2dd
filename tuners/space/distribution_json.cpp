#include "tuners/space/distribution_json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/text.h"

namespace finetune {
namespace {

std::string shortest(double x, std::chars_format format) {
  char text[400];
  return {text, std::to_chars(text, text + sizeof text, x, format).ptr};
}

// Python's repr: the shortest digits that read back, without an exponent from 1e-4 up to 1e16.
std::string python_float(double x) {
  const bool plain = x == 0 || (std::abs(x) >= 1e-4 && std::abs(x) < 1e16);
  const std::string text = shortest(x, plain ? std::chars_format::fixed : std::chars_format::scientific);
  return plain && text.find('.') == std::string::npos ? text + ".0" : text;
}

std::string python_bool(bool value) {
  return value ? "true" : "false";
}

std::string choice_json(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return nlohmann::json(*text).dump(-1, ' ', true);
  if (const auto* flag = std::get_if<bool>(&value)) return python_bool(*flag);
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return std::to_string(*whole);
  return python_float(std::get<double>(value));
}

// Optuna computes the last step in decimal; fifteen digits are what a decimal number keeps in a double.
double highest_on_grid(const ParameterSpec& spec) {
  const double last = as_number(nth_value(spec, spec.count().value() - 1));
  if (std::abs(last - spec.high) <= 1e-8 * spec.spacing()) return spec.high;
  char text[400];
  std::to_chars_result end = std::to_chars(text, text + sizeof text - 1, last, std::chars_format::scientific, 14);
  *end.ptr = '\0';
  return std::strtod(text, nullptr);
}

std::string categorical_attributes(const ParameterSpec& spec) {
  std::vector<std::string> choices;
  for (const Value& choice : spec.choices) choices.push_back(choice_json(choice));
  return R"({"choices": [)" + join(choices, ", ") + "]}";
}

std::string whole_attributes(const ParameterSpec& spec) {
  const auto text = [](double x) { return std::to_string(std::llround(x)); };
  const double step = spec.log ? 1 : spec.spacing(), high = spec.log ? spec.high : highest_on_grid(spec);
  return R"({"log": )" + python_bool(spec.log) + R"(, "step": )" + text(step) + R"(, "low": )" + text(spec.low) +
         R"(, "high": )" + text(high) + "}";
}

std::string real_attributes(const ParameterSpec& spec) {
  const std::string step = spec.step ? python_float(*spec.step) : "null";
  return R"({"step": )" + step + R"(, "low": )" + python_float(spec.low) + R"(, "high": )" +
         python_float(spec.step ? highest_on_grid(spec) : spec.high) + R"(, "log": )" + python_bool(spec.log) + "}";
}

}  // namespace

std::string distribution_json(const ParameterSpec& spec) {
  const bool categorical = !spec.choices.empty();  // Optuna has no ordinals
  const std::string kind = categorical ? "Categorical" : spec.integer ? "Int" : "Float";
  const std::string attributes = categorical    ? categorical_attributes(spec)
                                 : spec.integer ? whole_attributes(spec)
                                                : real_attributes(spec);
  return R"({"name": ")" + kind + R"(Distribution", "attributes": )" + attributes + "}";
}

double distribution_value(const ParameterSpec& spec, const Value& value) {
  if (spec.choices.empty()) return as_number(value);
  return static_cast<double>(choice_index(spec, value).value_or(spec.choices.size()));
}

}  // namespace finetune
