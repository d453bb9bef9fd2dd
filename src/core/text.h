// Small text helpers for messages.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace finetune {

/// The candidate with the smallest edit distance to `name` (case-insensitive), or "" when none is near (more than a
/// third of the name differs and none is a prefix or suffix).
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

/// " (did you mean X?)" or "".
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

std::string join(std::span<const std::string> parts, std::string_view separator);
std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

/// 1234567 -> "1,234,567".
std::string with_commas(long long number);

/// Seconds for people, two figures or so: "0.35 s", "12 s", "4 min 10 s", "2 h 5 min", "3 d 4 h".
std::string duration_text(double seconds);

}  // namespace finetune
