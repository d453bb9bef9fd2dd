// What objectives over a chosen and a rejected answer share.
#pragma once

#include "models/objectives/example_values.h"
#include "models/objectives/objectives.h"

namespace finetune {

/// Of every pair.
struct PairTerms {
  ExampleValues loss;
  ExampleValues by_chosen, by_rejected;  ///< derivatives of the loss by the answers' summed nll
  ExampleValues chosen_reward, rejected_reward;
};

class PairObjective : public Objective {
 public:
  at::Tensor weights(const Pack& pack, const PackLosses* losses) const override;
  std::vector<Figure> figures(const Pack& pack, const PackLosses& losses) const override;
  bool by_example() const override { return true; }
  bool reads_sequences() const override { return true; }

 protected:
  virtual PairTerms terms(const ExampleTable& table) const = 0;
  /// Whether the chosen sequences' mean nll is learned too.
  virtual bool learns_chosen() const { return false; }
};

}  // namespace finetune
