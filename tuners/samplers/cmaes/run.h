// One run of CMA-ES in the unit cube, from its first distribution until it converges: draws, generations, and the
// corrections for bounds and for discrete coordinates. A plain value with its books; knows nothing of trials.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "core/random.h"
#include "tuners/samplers/cmaes/cma.h"
#include "tuners/samplers/cmaes/coordinates.h"
#include "tuners/samplers/cmaes/stop.h"

namespace finetune::cmaes {

/// A draw: what the distribution learns from, and where in the cube it is evaluated (other than `raw` only in discrete
/// coordinates, by the margin's scale).
struct Point {
  Eigen::VectorXd raw_N, at_N;
};

/// A member of a generation as it comes back.
struct Evaluated {
  Eigen::VectorXd raw_N;
  bool injected = false;  ///< not a draw of the present distribution
};

class Run {
 public:
  Run(Distribution first, Eigen::Index population);

  Eigen::Index population() const { return population_; }
  std::int64_t generation() const { return distribution_.generation; }
  const Distribution& distribution() const { return distribution_; }

  /// Draws outside the bounds are drawn again, 10 N times at most, then clipped; discrete coordinates have no bounds,
  /// their first and last cells are open.
  Point draw(const Coordinates& coordinates, Random& random) const;

  /// One generation of `population()` members, best first. `values`: those there are, best first (failed members have
  /// none).
  void learn(const Coordinates& coordinates, const std::vector<Evaluated>& best_first,
             const std::vector<double>& values);
  bool has_converged() const;

  nlohmann::json save() const;
  /// Throws (Error, nlohmann exceptions) when the state is damaged or of another number of coordinates.
  static Run load(const nlohmann::json& state, Eigen::Index parameters);

 private:
  void keep_margin(const Coordinates& coordinates);

  Eigen::Index population_;
  Constants constants_;
  Distribution distribution_;
  Axes axes_;
  Eigen::VectorXd scale_N_;  // the margin's, 1 for continuous coordinates
  History history_;
  double first_spread_;
};

nlohmann::json to_json(const Eigen::VectorXd& vector);
Eigen::VectorXd vector_from(const nlohmann::json& json, Eigen::Index size);

}  // namespace finetune::cmaes
