#include "core/number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace finetune {
namespace {

// Digits after the point of the shortest text: 2 for 0.25, 5 for 1e-05.
int decimals_of(double value) {
  char text[32];
  const auto result = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific);
  const std::string_view shown(text, static_cast<std::size_t>(result.ptr - text));
  const std::size_t point = shown.find('.'), mark = shown.find('e');
  int exponent = 0;
  const std::size_t digits = mark + (shown[mark + 1] == '+' ? 2 : 1);  // from_chars reads no plus
  std::from_chars(text + digits, result.ptr, exponent);
  const int after = point == std::string_view::npos ? 0 : static_cast<int>(mark - point) - 1;
  return std::max(0, after - exponent);
}

}  // namespace

std::string number_to_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, result.ptr);
}

double stepped_value(double low, double step, std::int64_t k) {
  const double sum = low + static_cast<double>(k) * step;
  if (!std::isfinite(sum)) return sum;
  // The exact sum has no more decimals than its terms, and the computed one lies a few roundings beside it.
  char text[800];  // 309 digits before the point and 324 + 16 after it
  const auto result = std::to_chars(text, text + sizeof text, sum, std::chars_format::fixed,
                                    std::max(decimals_of(low), decimals_of(step)));
  double value = sum;
  std::from_chars(text, result.ptr, value);
  return value + 0.0;  // no -0
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
