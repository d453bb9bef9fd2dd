// A configuration node as a value of the type that a key takes. Each throws Error (bad_input, without a place) that
// says what `key` must be and what it is instead.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "config/node.h"

namespace finetune {

/// As good as no upper bound for a whole number.
constexpr std::int64_t kMany = std::int64_t{1} << 40;

struct Range {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  bool open_low = false, open_high = false;  // the end itself is not allowed
  std::string text() const;                  ///< "at least 0 and below 1"; "" when everything is allowed
  bool holds(double value) const;
};

/// `expected`: "a map of names".
[[noreturn]] void wrong(const std::string& key, const std::string& expected, const ConfigNode& node);

std::string text_of(const std::string& key, const ConfigNode& node);
double number_of(const std::string& key, const ConfigNode& node, const Range& range);
/// `or_word`: what may stand in its place, for the message; "" = nothing.
std::int64_t whole_of(const std::string& key, const ConfigNode& node, std::int64_t low, std::int64_t high,
                      const std::string& or_word = "");
/// A list, or one text for a list of one.
std::vector<std::string> texts_of(const std::string& key, const ConfigNode& node);

ConfigNode list_node(const std::vector<std::string>& texts);

}  // namespace finetune
