#include "tuners/samplers/tpe/model.h"

#include <algorithm>
#include <cmath>

namespace finetune {
namespace {

// Trials that have all of the parameters.
std::vector<bool> complete_in(const ParamTable& table, std::span<const std::size_t> parameters) {
  std::vector<bool> complete(table[0].size(), true);
  for (const std::size_t i : parameters) {
    for (std::size_t t = 0; t < complete.size(); ++t) {
      if (std::isnan(table[i][t])) complete[t] = false;
    }
  }
  return complete;
}

Columns columns_of(const ParamTable& table, std::span<const std::size_t> parameters) {
  const std::vector<bool> complete = complete_in(table, parameters);
  Columns columns(parameters.size());
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    columns[k].reserve(complete.size() + 1);  // the prior joins them
    for (std::size_t t = 0; t < complete.size(); ++t) {
      if (complete[t]) columns[k].push_back(table[parameters[k]][t]);
    }
  }
  return columns;
}

}  // namespace

ParzenAxis axis_of(const ParameterSpec& spec) {
  if (spec.categorical()) return {.choices = static_cast<std::int64_t>(spec.choices.size())};
  const double high = spec.spacing() > 0 ? number_of(spec, nth_value(spec, *spec.count() - 1)) : spec.high;
  return {.low = spec.low, .high = high, .step = spec.spacing(), .log = spec.log};
}

TpeModel fit_model(const SearchSpace& space, std::span<const std::size_t> parameters, const ParamTable& good,
                   const ParamTable& bad, Bandwidth bandwidth) {
  std::vector<ParzenAxis> axes;
  for (const std::size_t i : parameters) axes.push_back(axis_of(space.parameters[i]));
  return {fit_parzen(axes, columns_of(good, parameters), bandwidth),
          fit_parzen(axes, columns_of(bad, parameters), bandwidth)};
}

std::vector<double> acquisition(const TpeModel& model, const Columns& points) {
  std::vector<double> result = log_density(model.good, points);
  const std::vector<double> bad = log_density(model.bad, points);
  for (std::size_t p = 0; p < result.size(); ++p) result[p] -= bad[p];
  return result;
}

std::vector<double> propose(const TpeModel& model, std::size_t candidates, Random& random) {
  const Columns points = draw(model.good, candidates, random);
  const std::vector<double> worth = acquisition(model, points);
  const auto best = static_cast<std::size_t>(std::max_element(worth.begin(), worth.end()) - worth.begin());
  std::vector<double> point;
  for (const auto& column : points) point.push_back(column[best]);
  return point;
}

Value value_of(const ParameterSpec& spec, double number) {
  return spec.categorical() ? spec.choices[static_cast<std::size_t>(number)] : clip(spec, number);
}

}  // namespace finetune
