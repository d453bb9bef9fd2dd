#include <ATen/ATen.h>

#include <functional>

#include "engine/parameter_store.h"

namespace finetune {
namespace {

// Visits every tensor of a model in a fixed order: the layout of a flat row. `tied` skips the head.
template <typename Model, typename Visit>
void for_each_tensor(Model& m, bool tied, const Visit& visit) {
  visit(m.embed_VD);
  for (auto& b : m.blocks) {
    for (auto* t : {&b.input_norm_D, &b.post_norm_D, &b.qkv_ED, &b.o_DO, &b.gate_up_2FD, &b.down_DF, &b.qkv_bias_E,
                    &b.o_bias_D, &b.gate_up_bias_2F, &b.down_bias_D, &b.q_norm_K, &b.k_norm_K}) {
      visit(*t);
    }
  }
  visit(m.final_norm_D);
  if (!tied) visit(m.head_VD);
}

class FullStore : public ParameterStore {
 public:
  FullStore(const DecoderBase& base, const StoreOptions& options) : base_(base), tied_(base.options.tied_head) {
    for_each_tensor(base, tied_, [&](const at::Tensor& tensor) {
      if (!tensor.defined()) return;
      // transformers' Trainer decays matrices, not norms and biases.
      if (tensor.dim() >= 2) decayed_.emplace_back(parameters_, parameters_ + tensor.numel());
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
    set_optimizer_steps(slot, 0);
    std::int64_t offset = 0;
    for_each_tensor(base_, tied_, [&](const at::Tensor& tensor) {
      if (!tensor.defined()) return;
      params_.select(0, slot).narrow(0, offset, tensor.numel()).copy_(tensor.flatten());
      offset += tensor.numel();
    });
    for (auto* rows : {&grads_, &first_, &second_}) rows->select(0, slot).zero_();
    updated(slot);
  }
  const DecoderBase& base(std::int64_t slot) const override { return models_[static_cast<std::size_t>(slot)]; }
  Trainables trainables(std::int64_t slot) override { return {.full = &gradients_[static_cast<std::size_t>(slot)]}; }
  bool packs_together() const override { return false; }
  std::array<bool, kProjections> targets(const TrainConfig&) const override { return {}; }
  std::vector<ops::Piece> pieces(const TrainConfig&) const override { return pieces_; }
  std::vector<std::pair<std::int64_t, std::int64_t>> decayed(const TrainConfig&) const override { return decayed_; }
  void updated(std::int64_t slot) override {
    if (base_.embed_VD.scalar_type() == at::kFloat) return;  // the model's tensors are the row itself
    std::int64_t offset = 0;
    for_each_tensor(models_[static_cast<std::size_t>(slot)], tied_, [&](at::Tensor& tensor) {
      if (!tensor.defined()) return;
      tensor.copy_(params_.select(0, slot).narrow(0, offset, tensor.numel()).view(tensor.sizes()));
      offset += tensor.numel();
    });
  }

  AdapterTensors adapter_of(const SlotImage&, const TrainConfig&) const override { return AdapterTensors(); }

  at::Tensor params_SP() const override { return params_; }
  at::Tensor grads_SP() const override { return grads_; }
  at::Tensor first_SP() const override { return first_; }
  at::Tensor second_SP() const override { return second_; }

 private:
  // In fp32 views of the slot's row; else tensors of the base's dtype that updated() refreshes.
  DecoderBase slot_model(std::int64_t slot) {
    DecoderBase model = base_;
    std::int64_t offset = 0;
    for_each_tensor(model, tied_, [&](at::Tensor& tensor) {
      if (!tensor.defined()) return;
      const at::Tensor view = params_.select(0, slot).narrow(0, offset, tensor.numel()).view(tensor.sizes());
      offset += tensor.numel();
      tensor = tensor.scalar_type() == at::kFloat ? view : at::empty_like(tensor);
    });
    if (tied_) model.head_VD = model.embed_VD;
    return model;
  }

  FullGradients slot_gradients(std::int64_t slot) {
    FullGradients gradients;
    gradients.blocks.resize(base_.blocks.size());
    std::vector<at::Tensor> views;
    std::int64_t offset = 0;
    for_each_tensor(base_, tied_, [&](const at::Tensor& tensor) {
      views.push_back(tensor.defined() ? grads_.select(0, slot).narrow(0, offset, tensor.numel()).view(tensor.sizes())
                                       : at::Tensor());
      if (tensor.defined()) offset += tensor.numel();
    });
    std::size_t next = 0;
    for_each_tensor(gradients, tied_, [&](at::Tensor& tensor) { tensor = views[next++]; });
    if (tied_) gradients.head_VD = gradients.embed_VD;
    return gradients;
  }

  const DecoderBase& base_;
  bool tied_;
  std::int64_t parameters_ = 0;
  std::vector<ops::Piece> pieces_;
  std::vector<std::pair<std::int64_t, std::int64_t>> decayed_;
  at::Tensor params_, grads_, first_, second_;
  std::vector<DecoderBase> models_;
  std::vector<FullGradients> gradients_;
};

}  // namespace

std::unique_ptr<ParameterStore> make_full_store(const DecoderBase& base, const StoreOptions& options) {
  return std::make_unique<FullStore>(base, options);
}

}  // namespace finetune
