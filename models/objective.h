// What training minimises, between forward and backward: from the negative log-likelihoods of a pass's loss rows to the
// weight that each has in the gradient, and to the figures that are reported. An objective sees the sequences of every
// example whole (Pack::sequences), with what a reference model gave them, so it may weigh one by another.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <vector>

namespace finetune {

struct Pack;
struct PackLosses;

/// One value for each loss row of a pass; a trial's is the sum over its rows, in their order, over its loss tokens, or
/// over its examples (Objective::by_example). What is of an example as a whole stands at one of its rows, the others
/// are zero.
struct Figure {
  const char* name;  ///< "loss" is the first
  at::Tensor values_N;
};

/// Stateless, so one serves all lanes. Everything is tensor arithmetic on the pass's device: nothing waits for it.
class Objective {
 public:
  virtual ~Objective() = default;

  /// Derivative of what is minimised by each row's nll: [N], fp32. Asked without losses first; an objective that needs
  /// them answers with an undefined tensor and is asked again with those of all rows, which are computed twice then.
  virtual at::Tensor weights(const Pack& pack, const PackLosses* losses) const = 0;

  virtual std::vector<Figure> figures(const Pack& pack, const PackLosses& losses) const = 0;

  /// Figures are means over examples, not over loss tokens.
  virtual bool by_example() const { return false; }
  /// Sequences have losses under a reference model (Example::reference).
  virtual bool needs_reference() const { return false; }
  /// Trials have a divergence (WeighedTrial).
  virtual bool needs_divergence() const { return false; }
  /// Reads Pack::sequences on the host, so a captured pass would repeat those it was captured with.
  virtual bool reads_sequences() const { return false; }
};

/// Supervised fine-tuning: each trial's mean negative log-likelihood over the loss tokens of its batch. Figures: loss,
/// token_accuracy.
const Objective& sft();

struct NamedObjective {
  const char* name;  ///< as train.objective has it
  const Objective& objective;
};

std::span<const NamedObjective> objectives();

/// One that there is.
const Objective& objective_named(const std::string& name);

}  // namespace finetune
