#include "host/start_trial.h"

#include <algorithm>
#include <cmath>

#include "config/params.h"
#include "core/error.h"
#include "tuners/space/checked_value.h"

namespace finetune {
namespace {

std::optional<Value> held(const ParameterSpec& spec, const Value& value) {
  if (!spec.choices.empty()) {
    const auto index = choice_index(spec, value);
    return index ? std::optional(spec.choices[*index]) : std::nullopt;
  }
  if (std::holds_alternative<std::string>(value)) return std::nullopt;
  const double number = as_number(value);
  return number >= spec.low && number <= spec.high ? std::optional(clip(spec, number)) : std::nullopt;
}

Value middle(const ParameterSpec& spec) {
  return spec.categorical() ? spec.choices.front() : value_at(spec, 0.5);
}

}  // namespace

std::optional<Params> start_trial(const RunConfig& config, const SearchSpace& space, bool asktell) {
  const auto& search = config.search;
  if (std::none_of(search.begin(), search.end(), [](const SearchParameter& p) { return p.start.has_value(); }))
    return std::nullopt;
  const Params defaults = asktell ? Params{} : searched_defaults(config);
  Params params;
  for (std::size_t i = 0; i < search.size(); ++i) {
    const ParameterSpec& spec = space.parameters[i];
    const std::string key = "search." + spec.name + ".start";
    if (!is_active(spec, params)) {
      if (search[i].start)
        throw bad_input(
            "", key + " has no effect: the parameter is switched off by the start of " + spec.when.front().first);
      continue;
    }
    const Value* own = find_param(defaults, spec.name);
    const auto otherwise = own == nullptr ? std::nullopt : held(spec, *own);
    params.emplace_back(
        spec.name, search[i].start ? checked_value(key, spec, *search[i].start) : otherwise.value_or(middle(spec)));
  }
  return params;
}

Params start_values(const RunConfig& config, const SearchSpace& space) {
  Params values;
  for (std::size_t i = 0; i < config.search.size(); ++i) {
    const ParameterSpec& spec = space.parameters[i];
    if (const auto& start = config.search[i].start)
      values.emplace_back(spec.name, checked_value("search." + spec.name + ".start", spec, *start));
  }
  return values;
}

}  // namespace finetune
