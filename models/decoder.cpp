#include "models/decoder.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/torch/profile.h"
#include "models/blocks/block.h"
#include "models/head.h"

namespace finetune {
namespace {

// Names of workspace buffers that are neither a block's nor the head's.
enum DecoderBuffer : int { kResidual = kFirstDecoderBuffer, kGradient };

// The residual stream before layer `layer`: one buffer per layer when it is kept for the backward pass, else two that
// take turns.
at::Tensor residual(const DecoderBase& base, const Pack& pack, DecoderWorkspace& workspace, std::int64_t layer,
                    bool keep) {
  return workspace.get(kResidual, keep ? layer : layer % 2, pack.tokens, base.options.width, base.activations(),
                       base.embed_VD.device());
}

// What the embedding module gives: noise is added to that, which has Gemma's factor in it and not Granite's.
void add_noise(const DecoderBase& base, const Pack& pack, bool scaled, at::Tensor& x_TD) {
  if (pack.noise_TD.defined() && scaled != base.options.scaled_outside) x_TD.add_(pack.noise_TD);
}

// Of embeddings, and of their gradient.
void scale_embeddings(const DecoderBase& base, at::Tensor& x_TD) {
  const double scale = base.options.embedding_scale;
  if (scale != 1) x_TD.mul_(at::scalar_tensor(scale, x_TD.options()));
}

at::Tensor rows_of(const at::Tensor& x, const OwnRows& own) {
  return x.narrow(0, own.begin, own.end - own.begin);
}

void embed(const DecoderBase& base, const Pack& pack, const AdapterBank* bank, at::Tensor& x_TD) {
  const ops::Timed timed(ops::Part::embeddings,
                         [&] { return ops::elementwise_work(x_TD.numel(), 0, 2, x_TD.element_size()); });
  ops::embedding_forward(pack.ids_T, base.embed_VD, x_TD);
  for (const OwnRows& own : pack.own_embeddings)
    rows_of(x_TD, own).copy_(bank->embed_VD(own.slot).index_select(0, rows_of(pack.ids_T, own)));
}

// From the gradient of the first residual stream to those of the embeddings that are trained.
void embed_backward(const DecoderBase& base, const Pack& pack, const Trainables& trainables, at::Tensor& dx_TD) {
  const ops::Timed timed(ops::Part::embeddings);
  scale_embeddings(base, dx_TD);
  if (base.options.pad_id >= 0) dx_TD.masked_fill_(pack.ids_T.eq(base.options.pad_id).unsqueeze(1), 0);
  if (trainables.full) ops::embedding_backward(pack.ids_T, dx_TD, trainables.full->embed_VD);
  for (const OwnRows& own : pack.own_embeddings) {
    at::Tensor dembed_VD = trainables.bank->grad_embed_VD(own.slot);
    ops::embedding_backward(rows_of(pack.ids_T, own), rows_of(dx_TD, own), dembed_VD);
  }
}

// All blocks; returns the last residual stream.
at::Tensor forward(const DecoderBase& base, const Pack& pack, const Trainables& trainables, DecoderWorkspace& workspace,
                   bool keep) {
  const bool ring = uses_ring(base, pack);
  if (ring) workspace.ring().begin();
  at::Tensor x_TD = residual(base, pack, workspace, 0, keep);
  embed(base, pack, trainables.bank, x_TD);
  add_noise(base, pack, false, x_TD);
  scale_embeddings(base, x_TD);
  add_noise(base, pack, true, x_TD);
  for (std::int64_t layer = 0; layer < base.options.layers; ++layer) {
    at::Tensor y_TD = residual(base, pack, workspace, layer + 1, keep);
    const BlockContext context{base, pack, trainables, workspace, layer, keep};
    if (ring) take_weights(context, layer + 1 < base.options.layers ? std::optional(layer + 1) : std::nullopt);
    block_forward(context, x_TD, y_TD);
    x_TD = y_TD;
  }
  return x_TD;
}

}  // namespace

at::Tensor DecoderWorkspace::get(int name, std::int64_t layer, std::int64_t rows, std::int64_t columns,
                                 at::ScalarType dtype, at::Device device) {
  const auto n = static_cast<std::size_t>(name), l = static_cast<std::size_t>(layer);
  if (buffers_.size() <= n) buffers_.resize(n + 1);
  if (buffers_[n].size() <= l) buffers_[n].resize(l + 1);
  at::Tensor& buffer = buffers_[n][l];
  if (!buffer.defined() || buffer.numel() < rows * columns || buffer.scalar_type() != dtype) {
    buffer = at::Tensor();  // gives the old one back first
    ++generation_;
    buffer = at::empty({rows * columns}, at::TensorOptions().dtype(dtype).device(device));
  }
  return buffer.narrow(0, 0, rows * columns).view({rows, columns});
}

std::int64_t DecoderWorkspace::bytes() const {
  std::int64_t bytes = 0;
  for (const auto& layers : buffers_) {
    for (const auto& buffer : layers) {
      if (buffer.defined()) bytes += static_cast<std::int64_t>(buffer.nbytes());
    }
  }
  return bytes;
}

PackLosses evaluate_pack(const DecoderBase& base, const Pack& pack, const AdapterBank* bank,
                         DecoderWorkspace& workspace) {
  const at::Tensor x_TD = forward(base, pack, {.bank = bank}, workspace, false);
  return head_losses(base, pack, x_TD, bank, workspace);
}

void next_logits(const DecoderBase& base, const Pack& pack, const AdapterBank* bank, DecoderWorkspace& workspace,
                 const TakeLogits& take) {
  head_next_logits(base, pack, forward(base, pack, {.bank = bank}, workspace, false), bank, workspace, take);
}

PackLosses train_pack(const DecoderBase& base, const Pack& pack, const Trainables& trainables,
                      DecoderWorkspace& workspace, const Objective& objective) {
  const at::Tensor x_TD = forward(base, pack, trainables, workspace, true);
  at::Tensor dx_TD = workspace.get(kGradient, 0, pack.tokens, base.options.width, x_TD.scalar_type(), x_TD.device());
  const PackLosses losses = head_losses_backward(base, pack, x_TD, objective, trainables, workspace, dx_TD);
  const ops::InBackward backward;
  const bool embeddings = trainables.full != nullptr || !pack.own_embeddings.empty(), ring = uses_ring(base, pack);
  for (std::int64_t layer = base.options.layers - 1; layer >= 0; --layer) {
    // Adapters sit in every layer, so the first block is the lowest one: below it are only embeddings.
    const BlockContext context{base, pack, trainables, workspace, layer, true};
    if (ring) take_weights(context, layer > 0 ? std::optional(layer - 1) : std::nullopt);
    block_backward(context, residual(base, pack, workspace, layer, true), dx_TD, embeddings || layer > 0);
  }
  if (embeddings) embed_backward(base, pack, trainables, dx_TD);
  return losses;
}

}  // namespace finetune
