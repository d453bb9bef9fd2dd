#include "report/parameters.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "report/importance/fanova.h"
#include "report/importance/ped_anova.h"

namespace finetune {
namespace {

constexpr std::size_t kFewest = 5;
constexpr double kLogFrom = 20;  // a guessed range that spans such a factor is one of logarithms

Axis axis_of(const ParameterFacts& parameter) {
  if (parameter.choices.empty()) {
    Axis axis{.low = parameter.low, .high = parameter.high, .log = parameter.log, .integer = parameter.integer};
    axis.step = parameter.step.value_or(0);
    if (axis.spacing() > 0)  // the last value that there is
      axis.high = axis.low + std::floor((axis.high - axis.low) / axis.spacing() + 1e-9) * axis.spacing();
    return axis;
  }
  if (!parameter.ordinal) return {.choices = parameter.choices.size()};
  return {.low = 0, .high = static_cast<double>(parameter.choices.size() - 1), .integer = true};
}

// Where a value stands on the parameter's axis; nothing for a choice that the search does not have.
std::optional<double> position_on(const ParameterFacts& parameter, const Value& value) {
  for (std::size_t i = 0; i < parameter.choices.size(); ++i) {
    if (same_value(parameter.choices[i], value)) return static_cast<double>(i);
  }
  if (!parameter.choices.empty() || std::holds_alternative<std::string>(value)) return std::nullopt;
  const double number = as_number(value);
  // A population may leave the range: it stands at the border then.
  return std::isfinite(number) ? std::optional(std::clamp(number, parameter.low, parameter.high)) : std::nullopt;
}

ParameterFacts guess(const std::string& name, const std::vector<const Value*>& values, bool conditional) {
  ParameterFacts made{.name = name, .conditional = conditional};
  const auto is = [&]<typename T>(T) {
    return std::ranges::all_of(values, [](const Value* v) { return std::holds_alternative<T>(*v); });
  };
  const bool whole = is(std::int64_t{});
  if (!whole && !is(0.0)) {
    for (const Value* value : values) {
      const auto same = [&](const Value& other) { return same_value(other, *value); };
      if (std::ranges::none_of(made.choices, same)) made.choices.push_back(*value);
    }
    return made;
  }
  made.low = made.high = as_number(*values.front());
  for (const Value* value : values) {
    made.low = std::min(made.low, as_number(*value));
    made.high = std::max(made.high, as_number(*value));
  }
  made.integer = whole;
  made.log = made.low > 0 && made.high > kLogFrom * made.low;
  return made;
}

// Those of the compared trials that have all of `parameters`, in their order.
PlainPoints observations_of(const ReportFacts& study, const std::vector<Compared>& compared,
                            const std::vector<const ParameterFacts*>& parameters) {
  PlainPoints made;
  for (const ParameterFacts* parameter : parameters) made.axes.push_back(axis_of(*parameter));
  for (const Compared& trial : compared) {
    std::vector<double> point;
    for (const ParameterFacts* parameter : parameters) {
      const Value* value = find_param(trial.params, parameter->name);
      const auto position = value != nullptr ? position_on(*parameter, *value) : std::nullopt;
      if (position) point.push_back(*position);
    }
    if (point.size() != parameters.size()) continue;
    made.points.push_back(std::move(point));
    made.losses.push_back(to_minimized(trial.metric, study.direction));
  }
  return made;
}

// Which of the compared trials have the parameter at a value of the search.
std::set<std::size_t> having(const ParameterFacts& parameter, const std::vector<Compared>& compared) {
  std::set<std::size_t> trials;
  for (const Compared& trial : compared) {
    const Value* value = find_param(trial.params, parameter.name);
    if (value != nullptr && position_on(parameter, *value)) trials.insert(trial.trial);
  }
  return trials;
}

// Parameters that the same trials have, and all others that these have too.
struct Group {
  std::set<std::size_t> trials;
  std::vector<const ParameterFacts*> own, all;
};

std::vector<Group> groups_of(const std::vector<ParameterFacts>& search, const std::vector<Compared>& compared) {
  std::vector<Group> groups;
  for (const ParameterFacts& parameter : search) {
    std::set<std::size_t> trials = having(parameter, compared);
    if (trials.size() < kFewest) continue;
    const auto same = [&](const Group& group) { return group.trials == trials; };
    auto found = std::ranges::find_if(groups, same);
    if (found == groups.end()) found = groups.insert(groups.end(), Group{std::move(trials), {}, {}});
    found->own.push_back(&parameter);
  }
  for (Group& group : groups) {
    for (const Group& other : groups) {
      if (std::ranges::includes(other.trials, group.trials))
        group.all.insert(group.all.end(), other.own.begin(), other.own.end());
    }
  }
  return groups;
}

void measure(ReportFacts& study, const Group& group, const std::vector<Compared>& compared) {
  const PlainPoints trials = observations_of(study, compared, group.all);
  constexpr std::size_t kPaired = 6;
  const Fanova shares = fanova(trials, kPaired, forest_options(trials.points.size()));
  const std::vector<double> divergences = ped_anova(trials);
  const auto is_own = [&](std::size_t axis) {
    return std::ranges::find(group.own, group.all[axis]) != group.own.end();
  };
  for (std::size_t axis = 0; axis < group.all.size(); ++axis) {
    if (is_own(axis))
      study.importance.push_back({group.all[axis]->name, shares.shares[axis], divergences[axis], trials.points.size()});
  }
  for (const Interaction& pair : shares.interactions) {
    if (is_own(pair.first) || is_own(pair.second))
      study.interactions.push_back({group.all[pair.first]->name, group.all[pair.second]->name, pair.share});
  }
}

}  // namespace

std::optional<double> metric_at(const TrialFacts& trial, std::int64_t step) {
  for (const CurvePoint& point : trial.metrics) {
    if (point.step == step && std::isfinite(point.value)) return point.value;
  }
  return std::nullopt;
}

std::int64_t comparable_step(const std::vector<TrialFacts>& trials) {
  std::map<std::int64_t, std::size_t> counts;
  std::size_t evaluated = 0;
  for (const TrialFacts& trial : trials) {
    bool any = false;
    for (const CurvePoint& point : trial.metrics) {
      if (!std::isfinite(point.value)) continue;
      ++counts[point.step];
      any = true;
    }
    evaluated += any ? 1 : 0;
  }
  const std::size_t enough = std::max(kFewest, (evaluated + 1) / 2);
  std::int64_t highest = 0;
  for (const auto& [step, count] : counts) {
    if (count >= enough) highest = step;  // steps ascend
  }
  return highest;
}

std::optional<Params> params_at(const TrialFacts& trial, std::int64_t step) {
  const auto is_later = [&](const LineageFact& event) { return event.step >= step; };
  const auto later = std::ranges::find_if(trial.lineage, is_later);
  if (later == trial.lineage.end()) return trial.params;
  // Back to the last copy before it, after which everything is known.
  auto copy = later;
  while (copy != trial.lineage.begin() && !std::prev(copy)->copy_of) --copy;
  const bool began = copy == trial.lineage.begin();
  if (began && trial.first.empty()) return std::nullopt;
  Params params = began ? trial.first : std::prev(copy)->params;
  for (auto event = copy; event != later; ++event) {
    for (const auto& [name, value] : event->params) set_param(params, name, value);
  }
  return params;
}

std::vector<ParameterFacts> searched(const ReportFacts& study) {
  if (!study.search.empty()) return study.search;
  std::vector<std::string> names;
  std::map<std::string, std::vector<const Value*>> values;
  for (const TrialFacts& trial : study.trials) {
    for (const auto& [name, value] : trial.params) {
      if (values[name].empty()) names.push_back(name);
      values[name].push_back(&value);
    }
  }
  std::vector<ParameterFacts> search;
  for (const std::string& name : names)
    search.push_back(guess(name, values[name], values[name].size() < study.trials.size()));
  return search;
}

std::vector<Compared> compared_trials(const ReportFacts& study) {
  std::vector<Compared> compared;
  if (study.compared_step == 0) return compared;
  for (std::size_t i = 0; i < study.trials.size(); ++i) {
    const auto metric = metric_at(study.trials[i], study.compared_step);
    auto params = metric ? params_at(study.trials[i], study.compared_step) : std::nullopt;
    if (params) compared.push_back({i, *metric, std::move(*params)});
  }
  return compared;
}

void compare_parameters(ReportFacts& study) {
  study.importance.clear();
  study.interactions.clear();
  const std::vector<Compared> compared = compared_trials(study);
  if (compared.size() < kFewest) return;
  const auto is_like_first = [&](const Compared& one) { return one.metric == compared.front().metric; };
  if (std::ranges::all_of(compared, is_like_first)) return;  // there is nothing to explain
  const std::vector<ParameterFacts> search = searched(study);
  for (const Group& group : groups_of(search, compared)) measure(study, group, compared);
  const auto larger = [](const auto& a, const auto& b) { return a.share > b.share; };
  std::ranges::stable_sort(study.importance, larger);
  std::ranges::stable_sort(study.interactions, larger);
}

}  // namespace finetune
