#include "tuners/options.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"

namespace finetune {
namespace {

using Kind = OptionSpec::Kind;

const OptionSpec* spec_of(std::span<const OptionSpec> specs, const std::string& name) {
  const auto found = std::find_if(specs.begin(), specs.end(), [&](const auto& spec) { return spec.name == name; });
  return found == specs.end() ? nullptr : &*found;
}

std::string bound_text(const OptionSpec& spec, double bound) {
  return spec.kind == Kind::whole ? std::to_string(static_cast<std::int64_t>(bound)) : number_to_text(bound);
}

// 1e3 is a whole number too.
Value as_whole(const Value& value) {
  const auto* real = std::get_if<double>(&value);
  const bool whole = real != nullptr && std::abs(*real) < 1e15 && std::floor(*real) == *real;
  return whole ? Value(static_cast<std::int64_t>(*real)) : value;
}

bool is_within(const OptionSpec& spec, const Value& value) {
  const bool whole = std::holds_alternative<std::int64_t>(value);
  switch (spec.kind) {
    case Kind::whole:
    case Kind::number: {
      if (!whole && (spec.kind == Kind::whole || !std::holds_alternative<double>(value))) return false;
      const double number = as_number(value);
      return std::isfinite(number) && number >= spec.low && number <= spec.high;
    }
    case Kind::flag:
      return std::holds_alternative<bool>(value);
    case Kind::choice:
      return std::find(spec.allowed.begin(), spec.allowed.end(), to_text(value)) != spec.allowed.end();
    case Kind::list:
      return true;
  }
  return false;
}

}  // namespace

OptionSpec whole_option(const std::string& name, const std::string& help, std::optional<std::int64_t> otherwise,
                        std::int64_t low, double high) {
  OptionSpec spec{.name = name, .kind = Kind::whole, .help = help, .low = static_cast<double>(low), .high = high};
  if (otherwise) spec.otherwise = *otherwise;
  return spec;
}

OptionSpec number_option(const std::string& name, const std::string& help, std::optional<double> otherwise, double low,
                         double high) {
  OptionSpec spec{.name = name, .kind = Kind::number, .help = help, .low = low, .high = high};
  if (otherwise) spec.otherwise = *otherwise;
  return spec;
}

OptionSpec flag_option(const std::string& name, const std::string& help, std::optional<bool> otherwise) {
  OptionSpec spec{.name = name, .kind = Kind::flag, .help = help};
  if (otherwise) spec.otherwise = *otherwise;
  return spec;
}

OptionSpec choice_option(const std::string& name, const std::string& help, std::vector<std::string> allowed) {
  const Value first = allowed.front();
  return {.name = name, .kind = Kind::choice, .help = help, .otherwise = first, .allowed = std::move(allowed)};
}

OptionSpec list_option(const std::string& name, const std::string& help) {
  return {.name = name, .kind = Kind::list, .help = help};
}

OptionSpec without(OptionSpec spec, const std::string& absent) {
  spec.absent = absent;
  return spec;
}

std::string range_text(const OptionSpec& spec) {
  if (spec.kind == Kind::flag) return "true or false";
  if (spec.kind == Kind::choice) return "one of " + join(spec.allowed, ", ");
  if (spec.kind == Kind::list) return "a list";
  const std::string what = spec.kind == Kind::whole ? "a whole number" : "a number";
  const bool has_low = spec.low > -OptionSpec::kNoLimit, has_high = spec.high < OptionSpec::kNoLimit;
  return what + (has_low ? " from " + bound_text(spec, spec.low) : "") +
         (has_high ? " to " + bound_text(spec, spec.high) : "");
}

std::string describe(const OptionSpec& spec) {
  const std::string otherwise = spec.otherwise ? to_text(*spec.otherwise) : spec.absent;
  return spec.name + ": " + spec.help + "; " + range_text(spec) + (otherwise.empty() ? "" : ", default " + otherwise);
}

OptionReader::OptionReader(std::string prefix, std::span<const OptionSpec> specs, Params given)
    : prefix_(std::move(prefix)), specs_(specs), given_(std::move(given)) {
  std::vector<std::string> known;
  for (const OptionSpec& spec : specs_) known.push_back(spec.name);
  for (auto& [name, value] : given_) {
    const OptionSpec* spec = spec_of(specs_, name);
    if (spec == nullptr)
      throw bad_input("", "unknown option " + prefix_ + "." + name +
                              (known.empty() ? "; there are no options"
                                             : did_you_mean(name, known) + "; options: " + join(known, ", ")));
    if (spec->kind == Kind::whole) value = as_whole(value);
    if (is_within(*spec, value)) continue;
    if (spec->kind == Kind::choice) refuse(name, "is " + to_text(value) + "; allowed: " + join(spec->allowed, ", "));
    refuse(name, "must be " + range_text(*spec) + ", not " + to_text(value));
  }
}

const Value* OptionReader::value_of(const std::string& name) const {
  if (const Value* given = find_param(given_, name)) return given;
  const OptionSpec* spec = spec_of(specs_, name);
  if (spec == nullptr) throw std::logic_error("no option " + name + " stands in the list of " + prefix_);
  return spec->otherwise ? &*spec->otherwise : nullptr;
}

std::int64_t OptionReader::whole(const std::string& name) const {
  return std::get<std::int64_t>(*value_of(name));
}

std::int64_t OptionReader::whole(const std::string& name, std::int64_t otherwise) const {
  const Value* value = value_of(name);
  return value == nullptr ? otherwise : std::get<std::int64_t>(*value);
}

double OptionReader::number(const std::string& name) const {
  return as_number(*value_of(name));
}

std::optional<double> OptionReader::number_if_given(const std::string& name) const {
  const Value* value = value_of(name);
  return value == nullptr ? std::nullopt : std::optional(as_number(*value));
}

bool OptionReader::flag(const std::string& name) const {
  return std::get<bool>(*value_of(name));
}

bool OptionReader::flag(const std::string& name, bool otherwise) const {
  const Value* value = value_of(name);
  return value == nullptr ? otherwise : std::get<bool>(*value);
}

std::string OptionReader::choice(const std::string& name) const {
  return to_text(*value_of(name));
}

std::vector<std::string> OptionReader::list(const std::string& name) const {
  const Value* value = value_of(name);
  if (value == nullptr || to_text(*value).empty()) return {};
  std::vector<std::string> parts;
  for (const auto& part : split(to_text(*value), ',')) parts.emplace_back(trim(part));
  return parts;
}

void OptionReader::refuse(const std::string& name, const std::string& why) const {
  throw bad_input("", prefix_ + "." + name + " " + why);
}

}  // namespace finetune
