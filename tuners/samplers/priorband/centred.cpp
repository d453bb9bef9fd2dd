#include "tuners/samplers/priorband/centred.h"

#include <algorithm>
#include <cmath>

#include "tuners/samplers/tpe/truncated_normal.h"

namespace finetune {
namespace {

double share_of(const ParameterSpec& spec, double confidence) {
  return std::max(confidence, 1 / static_cast<double>(spec.choices.size()));
}

// The k-th of the choices without the one at `left_out`.
const Value& other_choice(const ParameterSpec& spec, std::size_t left_out, double u) {
  const std::size_t others = spec.choices.size() - 1;
  const auto k = std::min(others - 1, static_cast<std::size_t>(u * static_cast<double>(others)));
  return spec.choices[k < left_out ? k : k + 1];
}

Value choice_around(const ParameterSpec& spec, std::size_t centre, double confidence, double u) {
  const double share = share_of(spec, confidence);
  if (u < share || spec.choices.size() == 1) return spec.choices[centre];
  return other_choice(spec, centre, (u - share) / (1 - share));
}

// Where a categorical's centre is none of the choices any more (a trial of another space) it says nothing.
bool is_centred(const ParameterSpec& spec, const Value* centre) {
  return centre != nullptr && (spec.choices.empty() || choice_index(spec, *centre));
}

struct Bell {
  double centre, deviation;
  double low() const { return -centre / deviation; }
  double high() const { return (1 - centre) / deviation; }
};

Value value_in(const ParameterSpec& spec, const Bell& bell, double u) {
  const double z = truncated_normal_quantile(u, bell.low(), bell.high());
  return value_at(spec, std::clamp(bell.centre + bell.deviation * z, 0.0, 1.0));
}

bool can_change(const ParameterSpec& spec) {
  return spec.count() != 1 && (spec.low < spec.high || spec.categorical());
}

Value changed(const ParameterSpec& spec, const Value& value, double deviation, double u) {
  if (!is_centred(spec, &value)) return value_at(spec, u);
  if (spec.categorical()) return other_choice(spec, *choice_index(spec, value), u);
  return value_in(spec, {position_of(spec, value), deviation}, u);
}

}  // namespace

Value value_around(const ParameterSpec& spec, const Value* centre, double confidence, double u) {
  if (!is_centred(spec, centre)) return value_at(spec, u);
  if (spec.categorical()) return choice_around(spec, *choice_index(spec, *centre), confidence, u);
  return value_in(spec, {position_of(spec, *centre), 1 - confidence}, u);
}

double log_density(const ParameterSpec& spec, const Value* centre, double confidence, const Value& value) {
  if (spec.categorical()) {
    const auto count = static_cast<double>(spec.choices.size());
    if (!is_centred(spec, centre) || count == 1) return -std::log(count);
    const double share = share_of(spec, confidence);
    return std::log(same_value(*centre, value) ? share : (1 - share) / (count - 1));
  }
  if (!is_centred(spec, centre)) return 0;
  const Bell bell{position_of(spec, *centre), 1 - confidence};
  const double z = (position_of(spec, value) - bell.centre) / bell.deviation;
  return -z * z / 2 - kLogSqrtTwoPi - std::log(bell.deviation) - log_normal_mass(bell.low(), bell.high());
}

Params draw_around(const SearchSpace& space, const Params& centres, double confidence, Random& random) {
  Params params;
  for (const ParameterSpec& spec : space.parameters) {
    const double u = random.uniform();  // for every parameter: the draw of one does not depend on the others
    if (is_active(spec, params))
      params.emplace_back(spec.name, value_around(spec, find_param(centres, spec.name), confidence, u));
  }
  return params;
}

double log_density(const SearchSpace& space, const Params& centres, double confidence, const Params& params) {
  double sum = 0;
  for (const ParameterSpec& spec : space.parameters) {
    if (const Value* value = find_param(params, spec.name))
      sum += log_density(spec, find_param(centres, spec.name), confidence, *value);
  }
  return sum;
}

Params mutated(const SearchSpace& space, const Params& incumbent, const Mutation& mutation, Random& random) {
  struct Draw {
    double select, value;
  };
  std::vector<Draw> draws;
  double lowest = 1;
  for (const ParameterSpec& spec : space.parameters) {
    const double select = random.uniform();
    draws.push_back({select, random.uniform()});
    if (can_change(spec) && find_param(incumbent, spec.name) != nullptr) lowest = std::min(lowest, select);
  }
  Params params;
  for (std::size_t i = 0; i < draws.size(); ++i) {
    const ParameterSpec& spec = space.parameters[i];
    const auto [select, u] = draws[i];
    if (!is_active(spec, params)) continue;
    const Value* value = find_param(incumbent, spec.name);
    if (value == nullptr) {
      params.emplace_back(spec.name,
                          value_around(spec, find_param(mutation.centres, spec.name), mutation.confidence, u));
    } else {
      const bool changes = can_change(spec) && (select < mutation.rate || select <= lowest);
      params.emplace_back(spec.name, changes ? changed(spec, *value, mutation.deviation, u) : *value);
    }
  }
  return params;
}

}  // namespace finetune
