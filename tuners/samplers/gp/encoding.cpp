#include "tuners/samplers/gp/encoding.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace finetune::gp {
namespace {

constexpr double kInactiveNumber = 0.5;
constexpr double kInactiveChoice = -1;

Eigen::Index index_in(const SearchSpace& space, const std::string& name) {
  const auto found = std::find_if(space.parameters.begin(), space.parameters.end(),
                                  [&](const ParameterSpec& spec) { return spec.name == name; });
  return found - space.parameters.begin();
}

}  // namespace

Encoding::Encoding(SearchSpace space) : space_(std::move(space)) {
  for (const ParameterSpec& spec : space_.parameters) {
    categorical_.push_back(spec.categorical());
    counts_.push_back(spec.count().value_or(0));
    auto& conditions = conditions_.emplace_back();
    for (const auto& [parent, values] : spec.when) conditions.push_back({index_in(space_, parent), values});
  }
}

Value Encoding::value_of(Eigen::Index d, double coordinate) const {
  return discrete(d) ? nth_value(spec(d), std::llround(coordinate)) : value_at(spec(d), coordinate);
}

double Encoding::coordinate_of(Eigen::Index d, const Value& value) const {
  if (!discrete(d)) return position_of(spec(d), value);
  if (count(d) == 1) return 0;
  const double number = number_of(spec(d), value);
  if (!spec(d).choices.empty()) return std::isnan(number) ? 0 : number;
  const double steps = std::round((number - spec(d).low) / spec(d).spacing());
  return std::clamp(steps, 0.0, static_cast<double>(count(d) - 1));
}

double Encoding::coordinate_at(Eigen::Index d, double u) const {
  return discrete(d) ? coordinate_of(d, value_at(spec(d), u)) : u;
}

bool Encoding::holds(const Condition& condition, const Eigen::RowVectorXd& latent,
                     const std::vector<bool>& active) const {
  if (!active[static_cast<std::size_t>(condition.parent)]) return false;
  const Value value = value_of(condition.parent, latent(condition.parent));
  return std::find(condition.values.begin(), condition.values.end(), value) != condition.values.end();
}

std::vector<bool> Encoding::active(const Eigen::RowVectorXd& latent) const {
  std::vector<bool> active;  // parents come before their children
  for (const auto& conditions : conditions_) {
    active.push_back(std::all_of(conditions.begin(), conditions.end(),
                                 [&](const Condition& condition) { return holds(condition, latent, active); }));
  }
  return active;
}

Eigen::RowVectorXd Encoding::to_latent(const Params& params) const {
  Eigen::RowVectorXd latent(dimensions());
  for (Eigen::Index d = 0; d < dimensions(); ++d) {
    const Value* value = find_param(params, spec(d).name);
    latent(d) = value != nullptr ? coordinate_of(d, *value) : coordinate_at(d, 0.5);
  }
  return latent;
}

Params Encoding::to_params(const Eigen::RowVectorXd& latent) const {
  const std::vector<bool> exists = active(latent);
  Params params;
  for (Eigen::Index d = 0; d < dimensions(); ++d) {
    if (exists[static_cast<std::size_t>(d)]) params.emplace_back(spec(d).name, value_of(d, latent(d)));
  }
  return params;
}

Eigen::RowVectorXd Encoding::to_model(const Eigen::RowVectorXd& latent) const {
  const std::vector<bool> exists = active(latent);
  Eigen::RowVectorXd model = latent;
  for (Eigen::Index d = 0; d < dimensions(); ++d) {
    const auto k = static_cast<std::size_t>(d);
    if (!exists[k])
      model(d) = categorical_[k] ? kInactiveChoice : kInactiveNumber;
    else if (discrete(d) && !categorical_[k])
      model(d) = position_of(spec(d), value_of(d, latent(d)));
  }
  return model;
}

Eigen::MatrixXd Encoding::to_model_rows(const Eigen::MatrixXd& latent_MD) const {
  Eigen::MatrixXd model_MD(latent_MD.rows(), latent_MD.cols());
  for (Eigen::Index m = 0; m < latent_MD.rows(); ++m) model_MD.row(m) = to_model(latent_MD.row(m));
  return model_MD;
}

}  // namespace finetune::gp
