#include <ATen/ATen.h>

#include <cmath>
#include <optional>

#include "engine/parameter_store.h"
#include "models/adapter_bank.h"
#include "models/dora.h"
#include "models/peft.h"

namespace finetune {
namespace {

class LoraStore : public ParameterStore {
 public:
  LoraStore(const DecoderBase& base, const StoreOptions& options, const AdapterTensors* start)
      : base_(base),
        bank_(base.options, bank_options(options), base.embed_VD.device()),
        options_(options),
        start_(start),
        of_slot_(static_cast<std::size_t>(options.slots)) {
    steps_S_ = at::zeros({options.slots}, bank_.params_SP.options().dtype(at::kLong));
  }

  std::int64_t slots() const override { return bank_.slots(); }
  void initialize(std::int64_t slot, const TrainConfig& config) override {
    if (start_) return load(slot, config, *start_);
    steps_S_.select(0, slot).zero_();
    const SlotOptions own = slot_options(config);
    TORCH_CHECK(!own.pissa || options_.principal, "a trial that begins as pissa, and no principal parts");
    if (own.pissa)
      start_pissa(bank_, slot, own, *options_.principal);
    else
      bank_.initialize(slot, own, static_cast<std::uint64_t>(config.seed));
    bank_.put_saved(slot, own, base_.embed_VD, base_.head_VD);
    if (own.dora) start_magnitudes(bank_, slot, own, base_);
    updated(slot);
  }
  void load(std::int64_t slot, const TrainConfig& config, const AdapterTensors& adapter) override {
    steps_S_.select(0, slot).zero_();
    bank_.load(slot, slot_options(config), adapter);
    updated(slot);
  }
  void configure(std::int64_t slot, const TrainConfig& config) override {
    SlotOptions& own = of_slot_[static_cast<std::size_t>(slot)];
    own = slot_options(config);
    bank_.set_scales(slot, own);
  }
  const DecoderBase& base(std::int64_t) const override { return base_; }
  Trainables trainables(std::int64_t) override { return {.bank = &bank_}; }
  bool packs_together() const override { return true; }
  SlotOptions slot_options(const TrainConfig& config) const override { return lora_slot(config, base_.options); }
  std::vector<ops::Piece> pieces(const TrainConfig& config) const override {
    return bank_.pieces(slot_options(config));
  }
  std::vector<kernels::ParameterRange> decayed(const TrainConfig& config) const override {
    if (config.lora.rate_ratio == 1) return {{0, bank_.parameters()}};
    return bank_.ranges(config.lora.rate_ratio);
  }
  void updated(std::int64_t slot) override {
    const SlotOptions& own = of_slot_[static_cast<std::size_t>(slot)];
    if (own.pissa) restore_pissa(bank_, slot, own, *options_.principal);
    if (own.dora) refresh_magnitudes(bank_, slot, own, base_);
  }
  AdapterTensors adapter_of(const SlotImage& image, const TrainConfig& config) const override {
    StoreOptions options = options_;
    options.slots = 1;
    AdapterBank one(base_.options, bank_options(options), at::kCPU);
    one.params_SP.select(0, 0).copy_(image.params_P);
    return one.extract(0, slot_options(config));
  }

  at::Tensor params_SP() const override { return bank_.params_SP; }
  at::Tensor grads_SP() const override { return bank_.grads_SP; }
  at::Tensor first_SP() const override { return bank_.first_SP; }
  at::Tensor second_SP() const override { return bank_.second_SP; }

 private:
  static BankOptions bank_options(const StoreOptions& options) {
    return {.slots = options.slots,
            .rank = options.max_rank,
            .targets = options.targets,
            .magnitudes = options.magnitudes,
            .saved = options.saved,
            .scales = options.scales};
  }

  const DecoderBase& base_;
  AdapterBank bank_;
  StoreOptions options_;
  const AdapterTensors* start_;
  std::vector<SlotOptions> of_slot_;
};

}  // namespace

SavedModules saved_modules_of(const LoraConfig& lora) {
  return saved_modules("", "train.lora.modules_to_save", lora.modules_to_save);
}

AdapterPatterns patterns_of(const LoraConfig& lora) {
  return {lora.rank_pattern, lora.alpha_pattern};
}

PeftAdapter peft_adapter_of(const ParameterStore& store, const TrainConfig& config, const SlotImage& image) {
  const LoraConfig& lora = config.lora;
  const SlotOptions slot = store.slot_options(config);
  // The same scale at another rank, where more is written than was trained.
  const double more = slot.pissa ? 2 : 1;
  return {.spec = {.rank = slot.pissa ? slot.stored_rank() : lora.rank,
                   .alpha = lora.alpha * (lora.rslora ? std::sqrt(more) : more),
                   .dropout = lora.dropout,
                   .rslora = lora.rslora,
                   .targets = slot.targets,
                   .dora = slot.dora,
                   .saved = slot.saved,
                   .patterns = patterns_of(lora)},
          .tensors = store.adapter_of(image, config)};
}

SlotOptions lora_slot(const TrainConfig& config, const DecoderOptions& model) {
  const LoraConfig& lora = config.lora;
  const AdapterPatterns patterns = patterns_of(lora);
  return {.rank = patterns.largest_rank(lora.rank),
          .targets = resolve_targets(model, lora.targets),
          .scale = adapter_scale(lora.alpha, lora.rank, lora.rslora),
          .dora = lora.dora,
          .pissa = lora.init == LoraInit::pissa,
          .saved = saved_modules_of(lora),
          .modules = module_ranks("", patterns, {lora.rank, lora.alpha, lora.rslora}, model)};
}

std::unique_ptr<ParameterStore> make_lora_store(const DecoderBase& base, const StoreOptions& options,
                                                const AdapterTensors* start) {
  return std::make_unique<LoraStore>(base, options, start);
}

}  // namespace finetune
