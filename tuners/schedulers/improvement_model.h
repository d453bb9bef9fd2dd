// PB2's model: how much an interval of training improves a member, as a Gaussian process that forgets.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace finetune {

/// One interval of one member. All numbers in [0, 1] but the round.
struct ImprovementRow {
  std::int64_t round = 0;  ///< ready step / interval
  double before = 0;       ///< rank of the value it started from, 0 the best of its round
  std::vector<double> x;   ///< mutated parameters, positions in the space
  double gain = 0;         ///< how much the value fell
  bool failed = false;     ///< the member broke: `gain` says nothing, and counts as the lowest there is
};

/// Parker-Holder et al., NeurIPS 2020: kernel RBF(x, before) x (1 - 0.1)^(|difference of rounds| / 2). Gains are
/// standardised within their round and clipped to +-2, because the loss scale changes as training goes on. Length scale
/// and noise are those of a small grid with the highest marginal likelihood. O(n^3) once for n rows.
class ImprovementModel {
 public:
  explicit ImprovementModel(std::span<const ImprovementRow> rows);
  ~ImprovementModel();

  /// Mean + kappa x deviation of the gain of an interval from round `row.round`; kappa = sqrt(0.2 ln(0.4 n)), Ray's.
  double upper_bound(const ImprovementRow& row) const;

  /// The row is being tried: it narrows the deviation around it and leaves the mean.
  void add_pending(const ImprovementRow& row);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace finetune
