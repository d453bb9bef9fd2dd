#include "tuners/schedulers/population.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "tuners/schedulers/rungs.h"

namespace finetune {
namespace {

bool contains(std::span<const std::string> names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

double deviation(std::span<const double> values) {
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

}  // namespace

std::vector<const TrialRecord*> ready_members(std::span<const TrialRecord* const> reported, std::int64_t interval,
                                              std::int64_t max_steps) {
  std::vector<const TrialRecord*> ready;
  for (const TrialRecord* trial : reported) {
    if (trial->step < max_steps && reaches_look(*trial, interval)) ready.push_back(trial);
  }
  std::stable_sort(ready.begin(), ready.end(), [](const TrialRecord* a, const TrialRecord* b) {
    return a->values.back().second < b->values.back().second;  // ties: reports are sorted by id
  });
  return ready;
}

std::int64_t copiers(std::int64_t n, double quantile) {
  return std::min(static_cast<std::int64_t>(std::ceil(quantile * static_cast<double>(n) - 1e-9)), n / 2);
}

Value perturb(const ParameterSpec& spec, const Value& value, double factor) {
  if (!spec.choices.empty()) {
    const auto last = static_cast<std::ptrdiff_t>(spec.choices.size()) - 1;
    const auto at = static_cast<std::ptrdiff_t>(choice_index(spec, value).value_or(0));
    return spec.choices[static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(at + (factor < 1 ? -1 : 1), 0, last))];
  }
  const double number = as_number(value);
  const Value scaled = clip(spec, number * factor);
  // A step may swallow a small factor: move by at least one.
  if (spec.spacing() > 0 && scaled == clip(spec, number)) {
    return clip(spec, number + (factor < 1 ? -1 : 1) * spec.spacing());
  }
  return scaled;
}

Params explored(const SearchSpace& space, std::span<const std::string> mutate, const Params& donor,
                const std::function<Value(const ParameterSpec&, const Value&)>& move,
                const std::function<Value(const ParameterSpec&)>& draw) {
  Params params;
  for (const auto& spec : space.parameters) {
    if (!is_active(spec, params)) continue;
    const Value* present = find_param(donor, spec.name);
    if (present == nullptr) {
      params.emplace_back(spec.name, draw(spec));
    } else {
      params.emplace_back(spec.name, contains(mutate, spec.name) ? move(spec, *present) : *present);
    }
  }
  return params;
}

double diversity(const SearchSpace& space, std::span<const std::string> mutate,
                 std::span<const TrialRecord* const> members) {
  if (members.size() < 2) return 0;
  double sum = 0;
  std::int64_t counted = 0;
  for (const auto& spec : space.parameters) {
    if (!contains(mutate, spec.name)) continue;
    std::vector<double> positions;
    for (const TrialRecord* member : members) {
      if (const Value* value = find_param(member->params, spec.name)) positions.push_back(position_of(spec, *value));
    }
    if (positions.size() < 2) continue;
    sum += deviation(positions) * std::sqrt(12.0);  // of the uniform distribution it is 1 / sqrt(12)
    ++counted;
  }
  return counted == 0 ? 0 : sum / static_cast<double>(counted);
}

std::vector<OptionSpec> population_options() {
  return {whole_option("interval", "steps from one exchange to the next", 10, 1),
          number_option("quantile", "share of the members that copies the best", 0.25, 0, 0.5),
          without(list_option("mutate", "parameters that change with a copy"), "all that may change during training")};
}

std::vector<std::string> read_mutated_names(const OptionReader& options, const SchedulerRequest& request) {
  std::vector<std::string> all, changeable;
  for (const auto& spec : request.space.parameters) {
    all.push_back(spec.name);
    if (!request.tuner.may_change || request.tuner.may_change(spec.name)) changeable.push_back(spec.name);
  }
  const auto named = options.list("mutate");
  const std::string allowed = "; allowed: " + join(changeable, ", ");
  for (const auto& name : named) {
    if (!contains(all, name)) options.refuse("mutate", "names " + name + ", which is not searched" + allowed);
    if (!contains(changeable, name)) {
      options.refuse("mutate", "names " + name + ", which cannot change during training" + allowed);
    }
  }
  if (!named.empty()) return named;
  if (changeable.empty()) {
    options.refuse(
        "mutate",
        "is empty: no searched parameter may change during training; search train.learning_rate, for example");
  }
  return changeable;
}

}  // namespace finetune
