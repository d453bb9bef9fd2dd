#include "host/serve/fields.h"

#include <cmath>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostShown = 60;

std::string possible(const FieldRange& range) {
  std::string text = "a number";
  const bool low = std::isfinite(range.low), high = std::isfinite(range.high);
  if (low) text += (range.open_low ? " above " : " from ") + number_to_text(range.low);
  if (low && high) text += range.open_low ? " and" : "";
  if (high)
    text += (range.open_high ? " below " : range.open_low || !low ? " at most " : " to ") + number_to_text(range.high);
  return text;
}

bool holds(const FieldRange& range, double value) {
  const bool above = range.open_low ? value > range.low : value >= range.low;
  const bool below = range.open_high ? value < range.high : value <= range.high;
  return std::isfinite(value) && above && below;
}

[[noreturn]] void refuse(const std::string& path, const Json& value, const std::string& what) {
  throw bad_input("", path + " is " + shown(value) + "; " + what + " is possible");
}

}  // namespace

std::string shown(const Json& value) {
  const std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() <= kMostShown ? text : text.substr(0, kMostShown) + " ...";
}

Fields::Fields(const Json& object, std::string name) : object_(object), name_(std::move(name)) {
  if (!object.is_object()) throw bad_input("", name_ + " is " + shown(object) + "; an object is possible");
}

const Json* Fields::find(const std::string& key) {
  known_.insert(key);
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

const Json& Fields::need(const std::string& key) {
  const Json* value = find(key);
  if (value == nullptr) throw bad_input("", path(key) + " is missing");
  return *value;
}

std::int64_t Fields::whole(const std::string& key, std::int64_t low, std::int64_t high) {
  const Json& value = need(key);
  const bool fits =
      value.is_number_unsigned()
          ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(high) && value.get<std::int64_t>() >= low
          : value.is_number_integer() && value.get<std::int64_t>() >= low && value.get<std::int64_t>() <= high;
  if (!fits) refuse(path(key), value, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  return value.get<std::int64_t>();
}

std::int64_t Fields::whole(const std::string& key, std::int64_t low, std::int64_t high, std::int64_t otherwise) {
  return find(key) == nullptr ? otherwise : whole(key, low, high);
}

double Fields::number(const std::string& key, const FieldRange& range) {
  const Json& value = need(key);
  if (!value.is_number() || !holds(range, value.get<double>())) refuse(path(key), value, possible(range));
  return value.get<double>();
}

double Fields::number(const std::string& key, const FieldRange& range, double otherwise) {
  return find(key) == nullptr ? otherwise : number(key, range);
}

bool Fields::flag(const std::string& key, bool otherwise) {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) refuse(path(key), *value, "true or false");
  return value->get<bool>();
}

std::string Fields::text(const std::string& key) {
  const Json& value = need(key);
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) refuse(path(key), value, "a text");
  return value.get<std::string>();
}

std::vector<std::string> Fields::texts(const std::string& key) {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (value->is_string()) return {text(key)};
  std::vector<std::string> all;
  if (!value->is_array()) refuse(path(key), *value, "a text or a list of texts");
  for (const Json& one : *value) {
    if (!one.is_string() || one.get_ref<const std::string&>().empty()) refuse(path(key), *value, "a list of texts");
    all.push_back(one.get<std::string>());
  }
  return all;
}

bool Fields::has(const std::string& key) {
  known_.insert(key);
  return object_.contains(key);
}

const Json& Fields::list(const std::string& key) {
  const Json& value = need(key);
  if (!value.is_array() || value.empty()) refuse(path(key), value, "a list of at least one");
  return value;
}

void Fields::done() const {
  for (const auto& [key, value] : object_.items()) {
    if (known_.contains(key)) continue;
    const std::vector<std::string> names(known_.begin(), known_.end());
    if (names.empty()) throw bad_input("", path(key) + " has no meaning; there is nothing to be said here");
    throw bad_input("", path(key) + " has no meaning; possible here: " + join(names, ", ") + did_you_mean(key, names));
  }
}

std::vector<double> numbers_of(const Json& list, const std::string& path) {
  std::vector<double> values;
  if (!list.is_array()) refuse(path, list, "a list of numbers");
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_number() || !std::isfinite(list[i].get<double>()))
      refuse(path + "[" + std::to_string(i) + "]", list[i], "a number");
    values.push_back(list[i].get<double>());
  }
  return values;
}

std::vector<std::int32_t> token_ids_of(const Json& list, const std::string& path, std::int64_t vocabulary) {
  std::vector<std::int32_t> ids;
  if (!list.is_array() || list.empty()) refuse(path, list, "a list of token ids");
  for (std::size_t i = 0; i < list.size(); ++i) {
    const bool whole = list[i].is_number_integer();
    if (!whole || list[i].get<double>() < 0 || list[i].get<double>() >= static_cast<double>(vocabulary))
      refuse(path + "[" + std::to_string(i) + "]", list[i],
             "a token id from 0 and below the vocabulary of " + std::to_string(vocabulary));
    ids.push_back(list[i].get<std::int32_t>());
  }
  return ids;
}

}  // namespace finetune
