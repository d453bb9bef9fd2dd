// Pieces of report.json that json.cpp and json_trust.cpp are both made of.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/number.h"
#include "report/facts.h"

namespace finetune {

inline nlohmann::ordered_json optional_json(const std::optional<double>& value) {
  return value ? number_to_json(*value) : nlohmann::ordered_json(nullptr);
}
inline std::optional<double> optional_number(const nlohmann::ordered_json& json) {
  if (json.is_null()) return std::nullopt;
  return number_from_json(json);
}

/// Of a file that anybody may have written: a number with a fraction, or one that no integer holds, is refused.
inline std::int64_t whole_number(const nlohmann::ordered_json& json) {
  const bool fits = json.is_number_integer() && (!json.is_number_unsigned() || json.get<std::uint64_t>() <= INT64_MAX);
  if (!fits) throw bad_input("", json.dump() + " is not a whole number");
  return json.get<std::int64_t>();
}

/// A list under `key`, empty where an earlier version wrote none.
template <typename To, typename From>
void read_list(const nlohmann::ordered_json& json, const char* key, std::vector<To>& list, From&& from) {
  if (!json.contains(key)) return;
  if (!json.at(key).is_array()) throw bad_input("", std::string(key) + " is not a list");
  for (const auto& entry : json.at(key)) list.push_back(from(entry));
}

template <typename List, typename To>
nlohmann::ordered_json list_json(const List& list, To&& to) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const auto& entry : list) json.push_back(to(entry));
  return json;
}

/// How far the winner can be trusted (json_trust.cpp): confirmation, test, audit, comparisons, hints, path, samples. A
/// key is absent where there is nothing to say. Nothing of it depends on a clock.
void add_trust(nlohmann::ordered_json& json, const ReportFacts& study);
/// Throws Error, or an exception of the JSON library.
void read_trust(const nlohmann::ordered_json& json, ReportFacts& study);

}  // namespace finetune
