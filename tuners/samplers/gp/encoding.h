// Configurations as points of the Gaussian process, conditional parameters included.
//
// A *latent* point has a coordinate for every parameter, active or not: the position in [0, 1] of a continuous one, the
// number of the value of a discrete one. The process sees the *model* point made from it: positions for numbers, the
// number of the choice for categories, and for inactive parameters one fixed coordinate (the middle for numbers, a
// choice of its own for categories). So inactive values never matter, two configurations of one branch differ by its
// own parameters only, what both branches share is learned from all trials, and the covariance stays positive definite.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "tuners/space/space.h"

namespace finetune::gp {

class Encoding {
 public:
  explicit Encoding(SearchSpace space);

  Eigen::Index dimensions() const { return static_cast<Eigen::Index>(space_.parameters.size()); }
  const std::vector<bool>& categorical() const { return categorical_; }
  bool discrete(Eigen::Index d) const { return counts_[static_cast<std::size_t>(d)] > 0; }
  /// How many values a discrete dimension has; 0 for a continuum.
  std::int64_t count(Eigen::Index d) const { return counts_[static_cast<std::size_t>(d)]; }

  Eigen::RowVectorXd to_latent(const Params& params) const;
  Params to_params(const Eigen::RowVectorXd& latent) const;
  Eigen::RowVectorXd to_model(const Eigen::RowVectorXd& latent) const;
  /// Row by row.
  Eigen::MatrixXd to_model_rows(const Eigen::MatrixXd& latent_MD) const;
  /// Which dimensions exist in the configuration of a latent point.
  std::vector<bool> active(const Eigen::RowVectorXd& latent) const;
  /// Latent coordinate of dimension d at u in [0, 1), as value_at shares it out.
  double coordinate_at(Eigen::Index d, double u) const;

 private:
  struct Condition {
    Eigen::Index parent;
    std::vector<Value> values;
  };
  const ParameterSpec& spec(Eigen::Index d) const { return space_.parameters[static_cast<std::size_t>(d)]; }
  Value value_of(Eigen::Index d, double coordinate) const;
  double coordinate_of(Eigen::Index d, const Value& value) const;
  bool holds(const Condition& condition, const Eigen::RowVectorXd& latent, const std::vector<bool>& active) const;

  SearchSpace space_;
  std::vector<bool> categorical_;
  std::vector<std::int64_t> counts_;
  std::vector<std::vector<Condition>> conditions_;
};

}  // namespace finetune::gp
