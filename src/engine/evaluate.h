// Losses of examples under a base, with or without an adapter, one by one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/evaluators/evaluator.h"
#include "engine/open_model.h"
#include "engine/pack_data.h"
#include "models/adapter_bank.h"
#include "models/generate/cached_pack.h"

namespace finetune {

/// One example's result, in the order of the examples.
struct ExampleLoss {
  std::int64_t tokens = 0, loss_tokens = 0, correct = 0;
  double nll = 0;  ///< sum over loss tokens, in nats
};

/// One adapter in a bank of its own, as a pack's trial; without one (null) the bare base.
class SingleAdapter {
 public:
  SingleAdapter(const DecoderBase& base, const PeftAdapter* adapter);
  const AdapterBank* bank() const { return bank_.get(); }
  const PackTrial& trial() const { return trial_; }

 private:
  std::unique_ptr<AdapterBank> bank_;
  PackTrial trial_;
};

/// The adapter of a pack's trial, for passes over a cache.
AdapterChoice choice_of(const PackTrial& trial);

/// In passes of at most `tokens_per_pass` tokens; `adapter` may be null.
std::vector<ExampleLoss> evaluate_examples(const DecoderBase& base, const PeftAdapter* adapter, const Batch& examples,
                                           std::int64_t tokens_per_pass);

/// Mean loss of a few examples under a model and (unless null) an adapter.
double probe_loss(const BaseModel& model, const PeftAdapter* adapter, const Batch& examples);

/// What an evaluator measures of the model's first base and its adapter where it has one.
MeasuredMetrics evaluate_model(const OpenedModel& model, const Evaluator& evaluator,
                               const std::function<void(const std::string&)>& say);

/// Under the model's first base and its adapter where it has one, with its kernels.
std::vector<ExampleLoss> evaluate_examples(const OpenedModel& model, const Batch& examples,
                                           std::int64_t tokens_per_pass);

}  // namespace finetune
