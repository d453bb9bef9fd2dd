// Where the trained parameters of a lane's trials live: slots of flat fp32 rows. LoRA: an adapter bank over one frozen
// base. Full fine-tuning: each slot holds a whole model. The trainer works on either.
//
// Shapes: S slots, P parameters of a slot.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "config/run_config.h"
#include "kernels/torch/ops.h"
#include "models/decoder.h"
#include "models/pissa.h"

namespace finetune {

/// Rows of a slot, copied off: what pause, clone and best/ need. On any device.
struct SlotImage {
  at::Tensor params_P, first_P, second_P;
  at::Tensor steps;  ///< int64, no dimensions: optimizer steps behind the moments
};

class ParameterStore {
 public:
  virtual ~ParameterStore() = default;

  virtual std::int64_t slots() const = 0;
  /// What the trial of a slot is, before its parameters come in any way, and whenever that changes.
  virtual void configure(std::int64_t, const TrainConfig&) {}
  /// Fresh parameters from config.seed (LoRA) or from the base (full); gradients and moments zero.
  virtual void initialize(std::int64_t slot, const TrainConfig& config) = 0;
  /// The same from an adapter of this shape. Of adapters only.
  virtual void load(std::int64_t slot, const TrainConfig& config, const AdapterTensors& adapter) = 0;
  /// The weights a pass over this slot computes with.
  virtual const DecoderBase& base(std::int64_t slot) const = 0;
  virtual Trainables trainables(std::int64_t slot) = 0;
  /// True when slots may share a pass over one base.
  virtual bool packs_together() const = 0;
  /// What a trial trains; no targets for full fine-tuning.
  virtual SlotOptions slot_options(const TrainConfig& config) const = 0;
  /// What the gradient norm of a slot is summed over, in a fixed order.
  virtual std::vector<ops::Piece> pieces(const TrainConfig& config) const = 0;
  /// Elements that weight decay applies to: [begin, end) ranges of P, in order.
  virtual std::vector<kernels::ParameterRange> decayed(const TrainConfig& config) const = 0;
  /// After an update: refresh what is derived from the parameters (a bf16 copy, norms of DoRA).
  virtual void updated(std::int64_t slot) = 0;

  /// int64, on the device: optimizer steps behind each slot's moments.
  at::Tensor steps_S() const { return steps_S_; }
  ops::OptimizerState optimizer_state() const { return {params_SP(), grads_SP(), first_SP(), second_SP(), steps_S()}; }

  virtual at::Tensor params_SP() const = 0;
  virtual at::Tensor grads_SP() const = 0;
  virtual at::Tensor first_SP() const = 0;
  virtual at::Tensor second_SP() const = 0;

  /// LoRA: the adapter inside an image, trimmed to its rank.
  virtual AdapterTensors adapter_of(const SlotImage& image, const TrainConfig& config) const = 0;

  /// A copy on the store's device; nothing waits for it.
  SlotImage capture(std::int64_t slot) const;
  /// From wherever it lies; waits for nothing but memory of the host that is not pinned.
  void restore(std::int64_t slot, const SlotImage& image);
  /// Parameters, moments and their step count.
  void copy(std::int64_t from, std::int64_t to);

 protected:
  at::Tensor steps_S_;
};

/// What all trials of a study need together, to size the store.
struct StoreOptions {
  std::int64_t slots = 1;
  std::int64_t max_rank = 16;                                 ///< LoRA; of pissa twice the rank
  ProjectionSet targets;                                      ///< LoRA: union
  bool magnitudes = false;                                    ///< LoRA: some trial is DoRA
  SavedModules saved = {};                                    ///< LoRA: union
  bool scales = false;                                        ///< LoRA: there are rank_pattern or alpha_pattern
  std::shared_ptr<const PrincipalParts> principal = nullptr;  ///< LoRA: where some trial begins as pissa
};

SavedModules saved_modules_of(const LoraConfig& lora);
AdapterPatterns patterns_of(const LoraConfig& lora);
/// The adapter inside an image, as PEFT has it.
PeftAdapter peft_adapter_of(const ParameterStore& store, const TrainConfig& config, const SlotImage& image);

/// What a bank needs to know of a LoRA trial.
SlotOptions lora_slot(const TrainConfig& config, const DecoderOptions& model);

/// `base` must outlive the store. `start` (may be null): trials start from this adapter instead of a fresh one.
std::unique_ptr<ParameterStore> make_lora_store(const DecoderBase& base, const StoreOptions& options,
                                                const AdapterTensors* start);
/// Each slot is a copy of `base` in fp32 (and a copy in the base's dtype where that is another).
std::unique_ptr<ParameterStore> make_full_store(const DecoderBase& base, const StoreOptions& options);

}  // namespace finetune
