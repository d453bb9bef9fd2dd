// A sampler or scheduler with options, as it is named on a command line: asha:min_steps=1,reduction_factor=4.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "core/value.h"

namespace finetune::testing {

struct Entry {
  std::string text, name;
  Params options;
};

/// true and false are booleans, numbers without . or e whole, what is no number is a word.
inline Value option_value(const std::string& text) {
  if (text == "true" || text == "false") return text == "true";
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') return text;
  if (text.find_first_of(".e") == std::string::npos) return static_cast<std::int64_t>(number);
  return number;
}

inline Entry parse_entry(const std::string& text) {
  const auto colon = text.find(':');
  Entry entry{text, text.substr(0, colon), {}};
  if (colon == std::string::npos) return entry;
  for (const auto& part : split(text.substr(colon + 1), ',')) {
    const std::string option(part);
    const auto equals = option.find('=');
    if (equals == std::string::npos) throw bad_input("", "options are name=value, not " + option);
    entry.options.emplace_back(option.substr(0, equals), option_value(option.substr(equals + 1)));
  }
  return entry;
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace finetune::testing
