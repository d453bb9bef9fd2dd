// Losses of examples under a base, with or without an adapter: what eval and export ask.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/example.h"
#include "models/peft.h"
#include "models/weights.h"

namespace finetune {

/// One example's result, in the order of the examples.
struct ExampleLoss {
  std::int64_t tokens = 0, loss_tokens = 0, correct = 0;
  double nll = 0;  ///< sum over loss tokens, in nats
};

/// In passes of at most `tokens_per_pass` tokens; `adapter` may be null.
std::vector<ExampleLoss> evaluate_examples(const DecoderBase& base, const PeftAdapter* adapter,
                                           std::span<const Example> examples, std::int64_t tokens_per_pass);

/// Mean loss of a few examples under a model and (unless null) an adapter.
double probe_loss(const BaseModel& model, const PeftAdapter* adapter, std::span<const Example> examples);

struct Session;
/// Losses of session.valid under its base and model.adapter where given, with its kernels.
std::vector<ExampleLoss> evaluate_examples(const Session& session);

}  // namespace finetune
