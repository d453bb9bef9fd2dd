#include "core/text.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace finetune {
namespace {

char lower(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substitute = diagonal + (lower(a[i]) == lower(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substitute, row[j] + 1, diagonal + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view name, std::span<const std::string> candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, (name.size() + 2) / 3) + 1;
  for (const auto& candidate : candidates) {
    std::size_t distance = edit_distance(name.substr(0, 200), candidate);
    // "lr" for "learning_rate" style abbreviations are not near; a name inside the other is.
    if (name.size() >= 4 && (candidate.starts_with(name) || candidate.ends_with(name) || name.ends_with(candidate))) {
      distance = std::min<std::size_t>(distance, 2);
    }
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view name, std::span<const std::string> candidates) {
  const std::string near = nearest_name(name, candidates);
  return near.empty() ? "" : " (did you mean " + near + "?)";
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += separator;
    text += parts[i];
  }
  return text;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  for (;;) {
    const std::size_t end = text.find(separator, start);
    parts.emplace_back(text.substr(start, end == std::string_view::npos ? end : end - start));
    if (end == std::string_view::npos) return parts;
    start = end + 1;
  }
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string with_commas(long long number) {
  std::string text = std::to_string(number);
  for (auto i = static_cast<long long>(text.size()) - 3; i > (number < 0 ? 1 : 0); i -= 3) {
    text.insert(static_cast<std::size_t>(i), ",");
  }
  return text;
}

std::string duration_text(double seconds) {
  char text[64];
  if (seconds < 9.95) {
    std::snprintf(text, sizeof text, "%.2g s", seconds);
    return text;
  }
  struct Unit {
    double seconds;
    const char *name, *rest_name;
    double rest_seconds;
  };
  for (const Unit& unit : {Unit{86400, "d", "h", 3600}, Unit{3600, "h", "min", 60}, Unit{60, "min", "s", 1}}) {
    const double rests = std::round(seconds / unit.rest_seconds), per_unit = unit.seconds / unit.rest_seconds;
    if (rests < per_unit) continue;
    std::snprintf(text, sizeof text, "%.0f %s %.0f %s", std::floor(rests / per_unit), unit.name,
                  std::fmod(rests, per_unit), unit.rest_name);
    return text;
  }
  std::snprintf(text, sizeof text, "%.0f s", seconds);
  return text;
}

}  // namespace finetune
