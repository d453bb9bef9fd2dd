// A lane on a LibTorch device: trains and evaluates its resident trials, packed where the store allows it.
//
// Isolation (design contract, section 5): a trial's numbers do not depend on who trains beside it. Batches are cut by
// the trial's own lengths, gradients summed in its own order, losses and norms in fixed order.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "data/example.h"
#include "engine/lane.h"
#include "engine/pack_builder.h"
#include "engine/parameter_store.h"
#include "models/decoder.h"

namespace finetune {

struct TrainerOptions {
  std::int64_t tokens_per_pass = 4096;  ///< a forward/backward works on about this many; bounds activations
  bool shuffle = true;
};

/// What PackedTrainer::capture returns.
struct TorchImage : TrialImage {
  SlotImage slot;
  std::int64_t step = 0, optimizer_steps = 0;
};

class PackedTrainer : public Lane {
 public:
  /// Data and store must outlive the trainer; `valid` may be empty.
  PackedTrainer(ParameterStore& store, std::span<const Example> train, std::span<const Example> valid,
                const TrainerOptions& options);

  std::int64_t free_slots() const override { return static_cast<std::int64_t>(free_.size()); }
  void admit(TrialId trial, const TrainConfig& config) override;
  void release(TrialId trial) override;
  std::vector<StepResult> step(std::span<const TrialId> trials) override;
  std::vector<EvalResult> evaluate(std::span<const TrialId> trials) override;
  void change(TrialId trial, const TrainConfig& config) override;
  void copy(TrialId from, TrialId to, const TrainConfig& config) override;
  std::shared_ptr<const TrialImage> capture(TrialId trial) const override;
  void restore(TrialId trial, const TrainConfig& config, const TrialImage& image) override;
  void copy_from_image(const TrialImage& image, TrialId to, const TrainConfig& config) override;

  /// Bytes of activation buffers so far.
  std::int64_t workspace_bytes() const { return workspace_.bytes(); }

 private:
  struct Resident {
    TrialId id;
    TrainConfig config;
    std::int64_t slot = 0;
    std::int64_t step = 0;             // of the trial
    std::int64_t optimizer_steps = 0;  // behind the moments: what bias correction counts
    BatchOrder order;
  };
  struct Batch;
  Resident& find(TrialId trial);
  const Resident& find(TrialId trial) const;
  Resident& place(TrialId trial, const TrainConfig& config);
  PackTrial pack_trial(const Resident& trial, bool training) const;
  std::vector<Batch> next_batches(std::span<Resident* const> trials);
  void forward_backward(std::span<Resident* const> trials, std::vector<Batch>& batches);
  std::vector<double> gradient_norms(std::span<Resident* const> trials);
  void update(std::span<Resident* const> trials, std::span<const double> norms, std::span<const Batch> batches);
  void run_evaluation(std::span<Resident* const> trials, std::vector<EvalResult>& results);

  ParameterStore& store_;
  std::span<const Example> train_, valid_;
  std::int64_t valid_loss_tokens_ = 0;
  TrainerOptions options_;
  DecoderWorkspace workspace_;
  std::map<TrialId, Resident> residents_;
  std::vector<std::int64_t> free_;  // slots, the lowest last
};

}  // namespace finetune
