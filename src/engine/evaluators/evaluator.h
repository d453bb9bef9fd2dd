// Metrics that need more than the losses of tokens: each kind asks the model something of its own about validation
// rows, for all trials of a pack at once.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/metric.h"
#include "models/adapter_bank.h"
#include "models/generate/cached_pack.h"
#include "models/weights.h"

namespace finetune {

/// Trials to be evaluated: adapters over one base.
struct EvaluatedPack {
  const DecoderBase& base;
  const AdapterBank* bank = nullptr;        ///< null: the base as it is
  std::span<const AdapterChoice> adapters;  ///< by trial
  std::int64_t tokens_per_pass = 4096;
  std::int64_t cache_bytes = 1LL << 30;    ///< of keys and values
  std::function<bool()> interrupted = {};  ///< asked now and then: true ends the evaluation with Interrupted
  std::function<void(const std::string&)> say = [](const std::string&) {};  ///< a line for people
};

/// Throws Interrupted where the pack's user asked for the end.
void check_interrupt(const EvaluatedPack& pack);

/// A metric of one trial.
struct MeasuredMetric {
  double value = std::numeric_limits<double>::quiet_NaN();
  std::vector<ExampleFigure> examples = {};  ///< what it was made of (Metric::over); empty where it was not
};

/// By the metric's name.
using MeasuredMetrics = std::map<std::string, MeasuredMetric>;

/// Of keys and values that an evaluation holds at once, at most, where one sequence does not need more.
std::int64_t evaluation_cache_bytes(at::Device device);

/// What a token costs that is made by decoding, in tokens of a forward pass: few rows at a time read all weights
/// (tests/bench/results/generate.md).
constexpr double kNewTokenCost = 4;

/// What a trial is asked, for estimates of time and memory.
struct EvaluatorWork {
  std::int64_t prompt_tokens = 0;  ///< computed in large passes
  std::int64_t new_tokens = 0;     ///< computed one by one, at most
  std::int64_t longest = 0;        ///< tokens of the longest sequence, at most
  std::int64_t sequences = 0;      ///< each with keys and values of its own
};

/// Immutable: lanes use one side by side, each from its thread.
class Evaluator {
 public:
  virtual ~Evaluator() = default;
  virtual std::vector<std::string> metrics() const = 0;
  virtual EvaluatorWork work() const = 0;
  /// Results by trial. A trial's do not depend on the others.
  virtual std::vector<MeasuredMetrics> evaluate(const EvaluatedPack& pack) const = 0;
};

}  // namespace finetune
