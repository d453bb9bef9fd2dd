#include "tuners/options.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"

namespace finetune {

const Value* OptionReader::take(const std::string& name) {
  known_.push_back(name);
  return find_param(options_, name);
}

void OptionReader::refuse(const std::string& name, const std::string& why) const {
  throw bad_input("", prefix_ + "." + name + " " + why);
}

std::int64_t OptionReader::whole(const std::string& name, std::int64_t otherwise, std::int64_t low, std::int64_t high) {
  const Value* value = take(name);
  if (value == nullptr) return otherwise;
  const auto* number = std::get_if<std::int64_t>(value);
  if (number == nullptr || *number < low || *number > high) {
    refuse(name, "must be a whole number of at least " + std::to_string(low) +
                     (high < std::int64_t{1} << 40 ? " and at most " + std::to_string(high) : "") + ", not " +
                     to_text(*value));
  }
  return *number;
}

double OptionReader::number(const std::string& name, double otherwise, double low, double high) {
  const auto value = optional_number(name);
  if (!value) return otherwise;
  if (!(*value >= low && *value <= high)) {
    refuse(name, "must be a number from " + number_to_text(low) + " to " + number_to_text(high) + ", not " +
                     number_to_text(*value));
  }
  return *value;
}

std::optional<double> OptionReader::optional_number(const std::string& name) {
  const Value* value = take(name);
  if (value == nullptr) return std::nullopt;
  if (std::holds_alternative<std::string>(*value) || std::holds_alternative<bool>(*value) ||
      !std::isfinite(as_number(*value))) {
    refuse(name, "must be a finite number, not " + to_text(*value));
  }
  return as_number(*value);
}

bool OptionReader::flag(const std::string& name, bool otherwise) {
  const Value* value = take(name);
  if (value == nullptr) return otherwise;
  if (!std::holds_alternative<bool>(*value)) refuse(name, "must be true or false, not " + to_text(*value));
  return std::get<bool>(*value);
}

std::string OptionReader::choice(const std::string& name, const std::string& otherwise,
                                 const std::vector<std::string>& allowed) {
  const Value* value = take(name);
  if (value == nullptr) return otherwise;
  const std::string text = to_text(*value);
  if (std::find(allowed.begin(), allowed.end(), text) == allowed.end())
    refuse(name, "is " + text + "; allowed: " + join(allowed, ", "));
  return text;
}

std::vector<std::string> OptionReader::list(const std::string& name) {
  const Value* value = take(name);
  if (value == nullptr || to_text(*value).empty()) return {};
  std::vector<std::string> parts;
  for (const auto& part : split(to_text(*value), ',')) parts.emplace_back(trim(part));
  return parts;
}

void OptionReader::finish() const {
  for (const auto& [name, value] : options_) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    throw bad_input("", "unknown option " + prefix_ + "." + name +
                            (known_.empty() ? "; there are no options"
                                            : did_you_mean(name, known_) + "; options: " + join(known_, ", ")));
  }
}

}  // namespace finetune
