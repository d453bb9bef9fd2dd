#include "core/number.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace finetune {

std::string number_to_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, result.ptr);
}

std::optional<double> number_from_text(std::string_view text) {
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(value)) return std::nullopt;  // from_chars also reads "infinity" and "NAN(...)"
  return value;
}

nlohmann::ordered_json number_to_json(double value) {
  if (std::isfinite(value)) return value;
  return number_to_text(value);
}

double number_from_json(const nlohmann::ordered_json& json) {
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    if (text == "nan" || text == "inf" || text == "-inf") return *number_from_text(text);
  }
  throw bad_input("", "expected a number, \"nan\", \"inf\" or \"-inf\", found " + json.dump());
}

}  // namespace finetune
