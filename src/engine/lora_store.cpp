#include <ATen/ATen.h>

#include <optional>

#include "engine/parameter_store.h"
#include "models/adapter_bank.h"
#include "models/peft.h"

namespace finetune {
namespace {

class LoraStore : public ParameterStore {
 public:
  LoraStore(const DecoderBase& base, const StoreOptions& options, const AdapterTensors* start)
      : base_(base),
        bank_(base.options, {.slots = options.slots, .rank = options.max_rank, .targets = options.targets},
              base.embed_VD.device()),
        targets_(options.targets),
        start_(start) {
    steps_S_ = at::zeros({options.slots}, bank_.params_SP.options().dtype(at::kLong));
  }

  std::int64_t slots() const override { return bank_.slots(); }
  void initialize(std::int64_t slot, const TrainConfig& config) override {
    set_optimizer_steps(slot, 0);
    if (start_)
      bank_.load(slot, slot_options(config), *start_);
    else
      bank_.initialize(slot, slot_options(config), static_cast<std::uint64_t>(config.seed));
  }
  const DecoderBase& base(std::int64_t) const override { return base_; }
  Trainables trainables(std::int64_t) override { return {.bank = &bank_}; }
  bool packs_together() const override { return true; }
  ProjectionSet targets(const TrainConfig& config) const override {
    return resolve_targets(base_.options, config.lora.targets);
  }
  std::vector<ops::Piece> pieces(const TrainConfig& config) const override {
    return bank_.pieces(slot_options(config));
  }
  std::vector<kernels::ParameterRange> decayed(const TrainConfig& config) const override {
    if (config.lora.rate_ratio == 1) return {{0, bank_.parameters()}};
    return bank_.ranges(config.lora.rate_ratio);
  }
  void updated(std::int64_t) override {}
  AdapterTensors adapter_of(const SlotImage& image, const TrainConfig& config) const override {
    AdapterBank one(base_.options, {.slots = 1, .rank = bank_.rank(), .targets = targets_}, at::kCPU);
    one.params_SP.select(0, 0).copy_(image.params_P);
    return one.extract(0, slot_options(config));
  }

  at::Tensor params_SP() const override { return bank_.params_SP; }
  at::Tensor grads_SP() const override { return bank_.grads_SP; }
  at::Tensor first_SP() const override { return bank_.first_SP; }
  at::Tensor second_SP() const override { return bank_.second_SP; }

 private:
  SlotOptions slot_options(const TrainConfig& config) const {
    return {.rank = config.lora.rank, .targets = targets(config)};
  }

  const DecoderBase& base_;
  AdapterBank bank_;
  ProjectionSet targets_;
  const AdapterTensors* start_;
};

}  // namespace

std::unique_ptr<ParameterStore> make_lora_store(const DecoderBase& base, const StoreOptions& options,
                                                const AdapterTensors* start) {
  return std::make_unique<LoraStore>(base, options, start);
}

}  // namespace finetune
