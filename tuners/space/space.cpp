#include "tuners/space/space.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/error.h"
#include "core/number.h"

namespace finetune {
namespace {

Value as_value(const ParameterSpec& spec, double number) {
  if (spec.integer) return static_cast<std::int64_t>(std::llround(number));
  return number;
}

// Steps that fit between low and high. The small allowance lets 0..1 by 0.1 hold eleven values in spite of rounding.
std::int64_t last_step(const ParameterSpec& spec) {
  return static_cast<std::int64_t>(std::floor((spec.high - spec.low) / spec.spacing() + 1e-8));
}

double stepped(const ParameterSpec& spec, std::int64_t k) {
  const double step = spec.spacing();
  if (spec.integer) return std::min(spec.high, spec.low + static_cast<double>(k) * step);
  return std::min(spec.high, stepped_value(spec.low, step, k));
}

}  // namespace

ParameterSpec make_ordinal(std::string name, std::vector<Value> choices) {
  ParameterSpec spec{.name = std::move(name), .choices = std::move(choices), .integer = true, .ordinal = true};
  spec.high = static_cast<double>(spec.choices.size()) - 1;
  return spec;
}

std::optional<std::int64_t> ParameterSpec::count() const {
  if (!choices.empty()) return static_cast<std::int64_t>(choices.size());
  if (low == high) return 1;
  if (spacing() == 0) return std::nullopt;
  return last_step(*this) + 1;
}

const ParameterSpec* SearchSpace::find(const std::string& name) const {
  for (const auto& parameter : parameters) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

bool is_active(const ParameterSpec& spec, const Params& params) {
  return std::all_of(spec.when.begin(), spec.when.end(), [&](const auto& condition) {
    const Value* value = find_param(params, condition.first);
    return value != nullptr && std::any_of(condition.second.begin(), condition.second.end(),
                                           [&](const Value& wanted) { return same_value(wanted, *value); });
  });
}

Value nth_value(const ParameterSpec& spec, std::int64_t k) {
  if (!spec.choices.empty()) return spec.choices[static_cast<std::size_t>(k)];
  return as_value(spec, spec.spacing() == 0 ? spec.low : stepped(spec, k));
}

Value value_at(const ParameterSpec& spec, double u) {
  const auto count = spec.count();
  if (count && !spec.log) {
    const auto k = static_cast<std::int64_t>(u * static_cast<double>(*count));
    return nth_value(spec, std::clamp<std::int64_t>(k, 0, *count - 1));
  }
  if (!spec.log) return std::clamp(spec.low + u * (spec.high - spec.low), spec.low, spec.high);
  // Discrete on a log scale: each value owns the logarithms half a step around it.
  const double half = spec.spacing() / 2, from = std::log(spec.low - std::min(half, spec.low * (1 - 1e-12))),
               to = std::log(spec.high + half);
  return clip(spec, std::exp(from + u * (to - from)));
}

std::optional<std::size_t> choice_index(const ParameterSpec& spec, const Value& value) {
  for (std::size_t i = 0; i < spec.choices.size(); ++i) {
    if (same_value(spec.choices[i], value)) return i;
  }
  return std::nullopt;
}

double number_of(const ParameterSpec& spec, const Value& value) {
  if (spec.choices.empty()) return std::clamp(as_number(value), spec.low, spec.high);
  const auto index = choice_index(spec, value);
  return index ? static_cast<double>(*index) : std::numeric_limits<double>::quiet_NaN();
}

double position_of(const ParameterSpec& spec, const Value& value) {
  const double number = number_of(spec, value);
  if (spec.choices.empty()) return position_at(spec, number);
  return ((std::isnan(number) ? 0 : number) + 0.5) / static_cast<double>(spec.choices.size());
}

double position_at(const ParameterSpec& spec, double number) {
  if (spec.low == spec.high) return 0.5;
  number = std::clamp(number, spec.low, spec.high);
  const auto count = spec.count();
  if (count && !spec.log) return ((number - spec.low) / spec.spacing() + 0.5) / static_cast<double>(*count);
  if (!spec.log) return (number - spec.low) / (spec.high - spec.low);
  const double half = spec.spacing() / 2, from = std::log(spec.low - std::min(half, spec.low * (1 - 1e-12))),
               to = std::log(spec.high + half);
  return (std::log(number) - from) / (to - from);
}

Value clip(const ParameterSpec& spec, double number) {
  const double inside = std::clamp(number, spec.low, spec.high);
  if (spec.spacing() == 0) return inside;
  return nth_value(spec,
                   std::clamp<std::int64_t>(std::llround((inside - spec.low) / spec.spacing()), 0, last_step(spec)));
}

Params params_at(const SearchSpace& space, std::span<const double> point) {
  Params params;
  for (std::size_t i = 0; i < point.size(); ++i) {
    const ParameterSpec& spec = space.parameters[i];
    if (is_active(spec, params)) params.emplace_back(spec.name, value_at(spec, point[i]));
  }
  return params;
}

Params sample_uniform(const SearchSpace& space, Random& random) {
  std::vector<double> point(
      space.parameters.size());  // inactive ones too: a choice elsewhere does not shift the others
  for (double& u : point) u = random.uniform();
  return params_at(space, point);
}

void validate(const SearchSpace& space) {
  for (const auto& spec : space.parameters) {
    const std::string key = "search." + spec.name;
    if (!spec.choices.empty()) continue;
    if (!std::isfinite(spec.low) || !std::isfinite(spec.high) || spec.low > spec.high) {
      throw bad_input("", key + ": low must be at most high, and both finite");
    }
    if (spec.log && spec.low <= 0) throw bad_input("", key + ": low must be above 0 with log: true");
    if (spec.log && spec.step && !spec.integer)
      throw bad_input("", key + ": log and step cannot be combined on a real parameter");
    if (spec.step && !(*spec.step > 0)) throw bad_input("", key + ": step must be above 0");
  }
}

}  // namespace finetune
