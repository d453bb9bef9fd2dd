// The parameters that CMA-ES works on, as coordinates of the unit cube: numbers that are always active and have more
// than one value. Positions are the space's own encoding (value_at, position_of).
#pragma once

#include <Eigen/Core>
#include <optional>
#include <utility>

#include "tuners/space/space.h"

namespace finetune::cmaes {

class Coordinates {
 public:
  explicit Coordinates(const SearchSpace& space);

  Eigen::Index size() const { return static_cast<Eigen::Index>(specs_.size()); }
  const ParameterSpec& spec(Eigen::Index i) const { return specs_[static_cast<std::size_t>(i)]; }
  bool discrete(Eigen::Index i) const { return spec(i).spacing() > 0; }

  Value value(Eigen::Index i, double position) const { return value_at(spec(i), position); }
  /// Nothing where `params` lacks one of them.
  std::optional<Eigen::VectorXd> positions(const Params& params) const;

  /// Borders below and above the cell that a position of a discrete coordinate falls into; in the first and the last
  /// cell, which have one neighbour, the border to it twice.
  std::pair<double, double> borders(Eigen::Index i, double position) const;

 private:
  std::vector<ParameterSpec> specs_;
};

}  // namespace finetune::cmaes
