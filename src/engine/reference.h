// The reference model of an objective of preferences: the model as it started, with model.adapter where one was given.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/evaluate.h"
#include "engine/session.h"

namespace finetune {

class ReferenceModel {
 public:
  /// `base` must outlive this; `adapter` may be null.
  ReferenceModel(const DecoderBase& base, const PeftAdapter* adapter) : base_(base), adapter_(base, adapter) {}

  /// Of each example, of each of its sequences: the answer's summed nll. Throws Interrupted where `interrupted` says so
  /// between two passes.
  std::vector<std::vector<double>> answer_losses(const Batch& examples, std::int64_t tokens_per_pass,
                                                 const std::function<bool()>& interrupted = {}) const;

 private:
  const DecoderBase& base_;
  SingleAdapter adapter_;
};

/// Sets ExampleView::reference of all examples of the session where train.objective needs it, with all processors or on
/// the first device, and says what that took. Once, before the lanes are made: it serves all trials.
void set_references(Session& session);

}  // namespace finetune
