#include "report/html/text.h"

#include <fmt/format.h>

#include <cmath>

namespace finetune::html {

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string dotted_name(std::string_view name) {
  std::string out;
  for (const char c : escape(name)) {
    out += c;
    if (c == '.') out += "<wbr>";
  }
  return out;
}

std::string short_number(double value) {
  const double size = std::fabs(value);
  return size >= 1e4 && size < 1e7 ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
}

std::string short_value(const Value& value) {
  const auto* number = std::get_if<double>(&value);
  return number != nullptr ? short_number(*number) : escape(to_text(value));
}

std::string percent(double share) {
  const double value = 100 * share;
  return value >= 9.5 || value < 0.05 ? fmt::format("{:.0f} %", value) : fmt::format("{:.1f} %", value);
}

}  // namespace finetune::html
