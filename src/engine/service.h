// The packed engine alone, for training loops that are somebody else's: slots of adapters over one frozen base, whose
// gradients accumulate over calls until an optimizer step uses them. Each call takes what is asked of any number of
// slots and computes it as one pack; nothing is printed, no time is read.
//
// Isolation: an answer about a slot has the same bits whatever else is in the call. What one request asks and cannot be
// had is the `failure` of its answer, one line; the others of the call are where they would be without it. An Error
// that is thrown by anything but open, load and restore ends the service. So does Interrupted, which leaves slots as
// they were before the call.
//
// A slot steps as a trial of `train` does: a call over the examples of a batch, and a step, give the bits that the
// trial's step gives, dropout included.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/example.h"
#include "engine/lane.h"
#include "engine/parameter_store.h"
#include "engine/pass_runner.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/reproducible.h"
#include "models/generate/sampling.h"

namespace finetune {

/// An example, and what its loss tokens are worth: one term for each, or none at all, which is plain cross entropy.
struct TermedExample {
  Example example;
  std::vector<TokenTerm> terms;
};

struct PassRequest {
  std::optional<std::int64_t> slot;     ///< none: the base, of forward alone
  std::vector<TermedExample> examples;  ///< at least one; each has a loss token
  std::optional<double> divisor;        ///< what the sum of losses is divided by; none: the call's loss tokens
  bool logprobs = false;                ///< answer with those of every loss token
};

struct PassAnswer {
  double loss = 0;  ///< sum of weighted token losses / divisor; may be not finite
  std::int64_t tokens = 0, loss_tokens = 0;
  std::vector<std::vector<float>> logprobs;  ///< by example, by loss token
  std::string failure;
};

/// AdamW with the gradients that have accumulated, which are zero after it.
struct StepRequest {
  std::int64_t slot = 0;
  double learning_rate = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  double max_grad_norm = 1;  ///< 0: no clipping
};

struct StepAnswer {
  double gradient_norm = 0;  ///< before clipping
  std::int64_t step = 0;     ///< of the slot, 1-based, a skipped one included
  std::string failure;       ///< no gradients, or gradients that are not finite: weights and moments stay
};

struct SampleRequest {
  std::optional<std::int64_t> slot;                ///< none: the base
  std::vector<std::vector<std::int32_t>> prompts;  ///< tokens; at least one each
  std::int64_t count = 1;                          ///< of each prompt
  std::int64_t max_new_tokens = 128;
  Sampling sampling;                                             ///< its stream is set here
  std::function<bool(std::span<const std::int32_t>)> ends = {};  ///< after each token: true, it was the last
};

struct SampledSequence {
  std::vector<std::int32_t> ids;
  std::vector<float> logprobs;  ///< of each, under the model: temperature 1, over all tokens
};

struct SampleAnswer {
  std::vector<std::vector<SampledSequence>> sequences;  ///< by prompt
  std::string failure;
};

/// What a slot is, for people.
struct SlotState {
  std::int64_t slot = 0;
  TrainConfig config;
  std::int64_t steps = 0;           ///< optimizer steps so far
  std::int64_t pending_tokens = 0;  ///< of the gradients that wait for a step
};

struct ServiceOptions {
  std::int64_t tokens_per_pass = 4096;  ///< bounds activations: more are computed in several passes
  StoreOptions room;                    ///< what the store was made with
  ops::KernelTable kernels = ops::KernelTable::written();
  bool reproducible = true;                                                 ///< run.numerics
  std::int64_t cache_bytes = 1LL << 30;                                     ///< of keys and values while sampling
  std::function<void(const std::string&)> say = [](const std::string&) {};  ///< one line for people
  std::function<bool()> interrupted = {};  ///< asked between passes, and after each token: true ends the call
};

/// Used by one thread.
class Service {
 public:
  /// Of adapters; the store must outlive it.
  Service(ParameterStore& store, ServiceOptions options);

  std::int64_t slots() const { return store_.slots(); }
  std::vector<SlotState> state() const;
  bool is_open(std::int64_t slot) const { return slots_.contains(slot); }
  const TrainConfig& config(std::int64_t slot) const { return slots_.at(slot).config; }

  /// The lowest free slot, with a fresh adapter as config.lora and config.seed say, or with this one, which has the
  /// shape that config.lora says. Throws Error (bad_input) where no slot is free, or the service has no room for the
  /// shape (naming the key that says which room there is).
  std::int64_t open(const TrainConfig& config, const AdapterTensors* start = nullptr);
  void close(std::int64_t slot);

  /// Slots differ. Adds to their gradients.
  std::vector<PassAnswer> forward_backward(std::span<const PassRequest> requests);
  /// No gradients, no dropout. Slots may repeat.
  std::vector<PassAnswer> forward(std::span<const PassRequest> requests);
  /// Slots differ.
  std::vector<StepAnswer> optim_step(std::span<const StepRequest> requests);
  /// Slots may repeat.
  std::vector<SampleAnswer> sample(std::span<const SampleRequest> requests) const;

  PeftAdapter adapter(std::int64_t slot) const;
  /// Weights of the same shape replace the slot's; moments, gradients and step begin anew.
  void load(std::int64_t slot, const AdapterTensors& adapter);
  /// Everything of a slot: weights, moments, gradients that wait, steps. Its parts are valid as long as it.
  std::shared_ptr<const TrialImage> capture(std::int64_t slot) const;
  /// From the parts of one that a service with the same room captured. Throws Error (bad_input), the slot untouched.
  void restore(std::int64_t slot, const ImageParts& parts);

 private:
  struct Slot {
    TrainConfig config;
    SlotOptions options;
    PackTrial trial;                  // its step is the one to be done next
    std::int64_t pending_tokens = 0;  // whose gradients wait for it
    double pending_loss = 0;          // not finite: the step is skipped
  };
  struct PassSize {
    std::int64_t tokens = 0;
    bool together = true;
  };
  // service_passes.cpp
  struct Round;
  std::vector<PassAnswer> run(std::span<const PassRequest> requests, bool trains);
  Round round_of(std::span<const PassRequest> requests, const std::vector<std::size_t>& going, bool trains) const;
  void run_passes(std::span<const PassRequest> requests, const std::vector<std::size_t>& going, bool trains,
                  std::vector<PassAnswer>& answers);
  PackTrial trial_of(const PassRequest& request, bool trains) const;
  bool shrink_passes();
  void give_buffers_back() const;
  bool fits(const std::function<void()>& work) const;
  void say_if_fewer(std::int64_t tokens_before) const;
  void check_interrupt() const;
  // service_texts.cpp
  std::vector<SampleAnswer> sample_fitting(std::span<const SampleRequest> requests) const;
  std::vector<SampleAnswer> sample_together(std::span<const SampleRequest> requests) const;

  at::Tensor norms_of(std::span<const StepRequest> requests) const;
  void update(std::span<const StepRequest> requests, const at::Tensor& norms_N);

  ParameterStore& store_;
  ServiceOptions options_;
  at::Device device_;
  std::unique_ptr<const ops::ReproducibleSums> reproducible_;
  mutable PassRunner runner_;
  PassSize size_;
  std::size_t under_way_ = 0;  // of those going: whose pass is being computed, the first where there are several
  std::int64_t tokens_under_way_ = 0;
  std::map<std::int64_t, Slot> slots_;
};

}  // namespace finetune
