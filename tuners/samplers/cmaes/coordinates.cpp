#include "tuners/samplers/cmaes/coordinates.h"

#include <algorithm>
#include <cmath>

namespace finetune::cmaes {
namespace {

// Between values k and k + 1: the point halfway belongs to both.
double border(const ParameterSpec& spec, std::int64_t k) {
  return position_at(spec, spec.low + (static_cast<double>(k) + 0.5) * spec.spacing());
}

}  // namespace

Coordinates::Coordinates(const SearchSpace& space) {
  for (const auto& spec : space.parameters) {
    if (!spec.categorical() && spec.when.empty() && spec.count() != 1) specs_.push_back(spec);
  }
}

std::optional<Eigen::VectorXd> Coordinates::positions(const Params& params) const {
  Eigen::VectorXd positions_N(size());
  for (Eigen::Index i = 0; i < size(); ++i) {
    const Value* value = find_param(params, spec(i).name);
    if (value == nullptr) return std::nullopt;
    positions_N[i] = position_of(spec(i), *value);
  }
  return positions_N;
}

std::pair<double, double> Coordinates::borders(Eigen::Index i, double position) const {
  const ParameterSpec& s = spec(i);
  const std::int64_t count = s.count().value();
  const std::int64_t k = std::llround((number_of(s, value(i, position)) - s.low) / s.spacing());
  return {border(s, std::max<std::int64_t>(k - 1, 0)), border(s, std::min(k, count - 2))};
}

}  // namespace finetune::cmaes
