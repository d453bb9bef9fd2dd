#include <ATen/ATen.h>

#include "engine/parameter_store.h"

namespace finetune {
namespace {

class FullStore : public ParameterStore {
 public:
  FullStore(const DecoderBase& base, const StoreOptions& options) : base_(base) {
    for_each_tensor(base.options, base, [&](const TensorRows&, const at::Tensor& tensor) {
      // transformers' Trainer decays matrices, not norms and biases.
      if (tensor.dim() >= 2) decayed_.push_back({parameters_, parameters_ + tensor.numel()});
      pieces_.push_back({.offset = parameters_, .rows = 1, .length = tensor.numel(), .stride = tensor.numel()});
      parameters_ += tensor.numel();
    });
    const auto storage = at::TensorOptions().dtype(at::kFloat).device(base.embed_VD.device());
    for (auto* rows : {&params_, &grads_, &first_, &second_}) *rows = at::zeros({options.slots, parameters_}, storage);
    steps_S_ = at::zeros({options.slots}, storage.dtype(at::kLong));
    for (std::int64_t slot = 0; slot < options.slots; ++slot) {
      models_.push_back(slot_model(slot));
      gradients_.push_back(slot_gradients(slot));
    }
  }

  std::int64_t slots() const override { return params_.size(0); }
  void initialize(std::int64_t slot, const TrainConfig&) override {
    steps_S_.select(0, slot).zero_();
    std::int64_t offset = 0;
    for_each_tensor(base_.options, base_, [&](const TensorRows&, const at::Tensor& tensor) {
      next_of(params_, slot, tensor, offset).copy_(tensor);
    });
    for (auto* rows : {&grads_, &first_, &second_}) rows->select(0, slot).zero_();
    updated(slot);
  }
  void load(std::int64_t, const TrainConfig&, const AdapterTensors&) override {
    TORCH_CHECK(false, "a whole model has no adapter to start from");
  }
  const DecoderBase& base(std::int64_t slot) const override { return models_[static_cast<std::size_t>(slot)]; }
  Trainables trainables(std::int64_t slot) override { return {.full = &gradients_[static_cast<std::size_t>(slot)]}; }
  bool packs_together() const override { return false; }
  SlotOptions slot_options(const TrainConfig&) const override { return {}; }
  std::vector<ops::Piece> pieces(const TrainConfig&) const override { return pieces_; }
  std::vector<kernels::ParameterRange> decayed(const TrainConfig&) const override { return decayed_; }
  void updated(std::int64_t slot) override {
    if (base_.embed_VD.scalar_type() == at::kFloat) return;  // the model's tensors are the row itself
    std::int64_t offset = 0;
    for_each_tensor(base_.options, models_[static_cast<std::size_t>(slot)], [&](const TensorRows&, at::Tensor& tensor) {
      tensor.copy_(next_of(params_, slot, tensor, offset));
    });
  }

  AdapterTensors adapter_of(const SlotImage&, const TrainConfig&) const override { return AdapterTensors(); }

  at::Tensor params_SP() const override { return params_; }
  at::Tensor grads_SP() const override { return grads_; }
  at::Tensor first_SP() const override { return first_; }
  at::Tensor second_SP() const override { return second_; }

 private:
  // The numbers of a slot's row that belong to a tensor, as a view of its shape; `offset` moves behind them.
  static at::Tensor next_of(const at::Tensor& storage_SP, std::int64_t slot, const at::Tensor& like,
                            std::int64_t& offset) {
    const at::Tensor view = storage_SP.select(0, slot).narrow(0, offset, like.numel()).view(like.sizes());
    offset += like.numel();
    return view;
  }

  // In fp32 views of the slot's row; else tensors of the base's dtype that updated() refreshes. On a processor those of
  // a base in bf16 are its matrices.
  DecoderBase slot_model(std::int64_t slot) {
    DecoderBase model = base_;
    std::int64_t offset = 0;
    for_each_tensor(model.options, model, [&](const TensorRows&, at::Tensor& tensor) {
      const at::Tensor view = next_of(params_, slot, tensor, offset);
      tensor = tensor.scalar_type() == at::kFloat ? view : at::empty_like(tensor);
    });
    if (model.options.tied_head) model.head_VD = model.embed_VD;
    return model;
  }

  FullGradients slot_gradients(std::int64_t slot) {
    FullGradients gradients = base_;  // for their shapes
    std::int64_t offset = 0;
    for_each_tensor(base_.options, gradients,
                    [&](const TensorRows&, at::Tensor& tensor) { tensor = next_of(grads_, slot, tensor, offset); });
    if (base_.options.tied_head) gradients.head_VD = gradients.embed_VD;
    return gradients;
  }

  const DecoderBase& base_;
  std::int64_t parameters_ = 0;
  std::vector<ops::Piece> pieces_;
  std::vector<kernels::ParameterRange> decayed_;
  at::Tensor params_, grads_, first_, second_;
  std::vector<DecoderBase> models_;
  std::vector<FullGradients> gradients_;
};

}  // namespace

std::unique_ptr<ParameterStore> make_full_store(const DecoderBase& base, const StoreOptions& options) {
  return std::make_unique<FullStore>(base, options);
}

}  // namespace finetune
