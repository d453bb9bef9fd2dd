#include "core/value.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/number.h"

namespace finetune {

const Value* find_param(const Params& params, const std::string& name) {
  for (const auto& [key, value] : params) {
    if (key == name) return &value;
  }
  return nullptr;
}

void set_param(Params& params, const std::string& name, Value value) {
  for (auto& [key, old] : params) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  params.emplace_back(name, std::move(value));
}

bool same_value(const Value& a, const Value& b) {
  const auto* whole = std::get_if<std::int64_t>(&a);
  const auto* real = std::get_if<double>(&b);
  if (whole != nullptr && real != nullptr) {
    const double number = static_cast<double>(*whole);
    // 2^63 and above is no whole number of ours, and up to 2^53 every one has a double of its own.
    return number == *real && *real < 0x1p63 && static_cast<std::int64_t>(*real) == *whole;
  }
  if (std::holds_alternative<double>(a) && std::holds_alternative<std::int64_t>(b)) return same_value(b, a);
  return a == b;
}

double as_number(const Value& value) {
  if (const auto* b = std::get_if<bool>(&value)) return *b ? 1.0 : 0.0;
  if (const auto* i = std::get_if<std::int64_t>(&value)) return static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&value)) return *d;
  throw bad_input("", "expected a number, found \"" + std::get<std::string>(value) + "\"");
}

nlohmann::ordered_json to_json(const Value& value) {
  if (const auto* d = std::get_if<double>(&value)) return number_to_json(*d);
  return std::visit([](const auto& v) { return nlohmann::ordered_json(v); }, value);
}

nlohmann::ordered_json to_json(const Params& params) {
  auto json = nlohmann::ordered_json::object();
  for (const auto& [key, value] : params) json[key] = to_json(value);
  return json;
}

Value value_from_json(const nlohmann::ordered_json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX) return json.get<double>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number_float()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  throw bad_input("", "expected a scalar, found " + json.dump());
}

Params params_from_json(const nlohmann::ordered_json& json) {
  Params params;
  for (const auto& [key, value] : json.items()) params.emplace_back(key, value_from_json(value));
  return params;
}

std::string to_text(const Value& value) {
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<std::int64_t>(&value)) return std::to_string(*i);
  if (const auto* d = std::get_if<double>(&value)) return number_to_text(*d);
  return std::get<std::string>(value);
}

}  // namespace finetune
