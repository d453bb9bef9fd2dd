// Typed access to config.json: a wrong type is an error that names file and key.
#pragma once

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/error.h"

namespace finetune {

/// No config.json or adapter_config.json is larger.
inline constexpr std::uint64_t kLargestConfig = 16 << 20;

/// The JSON must outlive the reader.
class ConfigReader {
 public:
  ConfigReader(std::string where, const nlohmann::ordered_json& json) : where_(std::move(where)), json_(json) {}

  /// Present and not null.
  bool has(const char* key) const { return json_.is_object() && json_.contains(key) && !json_[key].is_null(); }

  std::optional<double> optional_number(const char* key) const {
    if (!has(key)) return std::nullopt;
    if (!json_[key].is_number()) wrong(key, "a number");
    return json_[key].get<double>();
  }
  double number(const char* key, double otherwise) const { return optional_number(key).value_or(otherwise); }

  /// A whole number in [low, high].
  std::int64_t size(const char* key, std::optional<std::int64_t> otherwise, std::int64_t low, std::int64_t high) const {
    if (!has(key)) {
      if (!otherwise) throw bad_input(where_, std::string("key ") + key + " is missing");
      return *otherwise;
    }
    if (!json_[key].is_number_integer()) wrong(key, "a whole number");
    const double value = json_[key].get<double>();  // compared as double: a huge unsigned must not wrap
    if (value < static_cast<double>(low) || value > static_cast<double>(high)) {
      throw bad_input(where_, std::string("key ") + key + " is " + json_[key].dump() + "; " + std::to_string(low) +
                                  " to " + std::to_string(high) + " is possible");
    }
    return json_[key].get<std::int64_t>();
  }
  bool flag(const char* key, bool otherwise) const {
    if (!has(key)) return otherwise;
    if (!json_[key].is_boolean()) wrong(key, "true or false");
    return json_[key].get<bool>();
  }
  std::string text(const char* key, const std::string& otherwise) const {
    if (!has(key)) return otherwise;
    if (!json_[key].is_string()) wrong(key, "a string");
    return json_[key].get<std::string>();
  }
  /// An empty reader where the key is absent.
  ConfigReader object(const char* key) const {
    static const nlohmann::ordered_json kEmpty = nlohmann::ordered_json::object();
    if (!has(key)) return {where_ + ": " + key, kEmpty};
    if (!json_[key].is_object()) wrong(key, "an object");
    return {where_ + ": " + key, json_[key]};
  }
  void require(bool condition, const char* key, const std::string& what) const {
    if (!condition) throw bad_input(where_, std::string("key ") + key + " " + what);
  }
  const nlohmann::ordered_json& json() const { return json_; }
  const std::string& where() const { return where_; }

 private:
  [[noreturn]] void wrong(const char* key, const char* expected) const {
    throw bad_input(where_,
                    std::string("key ") + key + " must be " + expected + ", found " + json_[key].dump().substr(0, 40));
  }
  std::string where_;
  const nlohmann::ordered_json& json_;
};

}  // namespace finetune
