#include "models/weights.h"

#include <ATen/ATen.h>

namespace finetune {
namespace {

// Whether the parts already are the rows of one tensor, one behind the other: as load_checkpoint reads them.
bool lie_together(const std::vector<at::Tensor>& parts) {
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    const at::Tensor &part = parts[i], &next = parts[i + 1];
    const bool behind = part.is_contiguous() && next.is_contiguous() && part.scalar_type() == next.scalar_type() &&
                        part.is_alias_of(next) && next.storage_offset() == part.storage_offset() + part.numel();
    if (!behind) return false;
  }
  return true;
}

// All rows as one tensor: a view where they lie together, else a copy.
at::Tensor all_rows(const std::vector<at::Tensor>& parts) {
  if (parts.size() == 1 || !lie_together(parts)) return at::cat(parts, 0);
  std::vector<std::int64_t> sizes = parts.front().sizes().vec();
  sizes[0] = 0;
  for (const at::Tensor& part : parts) sizes[0] += part.size(0);
  return parts.front().as_strided(sizes, parts.front().strides());
}

// Stacks what is defined along the rows, moves it, and lets the parts be views of the result.
at::Tensor stack_rows(const std::vector<at::Tensor*>& parts, at::Device device) {
  std::vector<at::Tensor> present;
  for (const auto* part : parts) {
    if (part->defined()) present.push_back(*part);
  }
  if (present.empty()) return {};
  const at::Tensor stacked = all_rows(present).to(device);
  std::int64_t row = 0;
  for (auto* part : parts) {
    const std::int64_t rows = part->size(0);
    *part = stacked.narrow(0, row, rows);
    row += rows;
  }
  return stacked;
}

}  // namespace

std::pair<at::Tensor, at::Tensor> rotary_tables(const RotaryOptions& rotary, std::int64_t positions,
                                                at::Device device) {
  // fp32 like transformers: position x inverse frequency in fp32, then cos and sin, then the attention factor.
  const auto frequencies = at::tensor(at::ArrayRef<float>(rotary.inverse_frequencies), at::kFloat);
  const auto angles_PK = at::outer(at::arange(positions, at::kFloat), frequencies);
  return {(angles_PK.cos() * rotary.attention_factor).to(device),
          (angles_PK.sin() * rotary.attention_factor).to(device)};
}

std::pair<std::int64_t, std::int64_t> stacked_rows(const DecoderOptions& options, Projection projection) {
  const std::int64_t q = options.heads * options.head_dim, kv = options.kv_heads * options.head_dim;
  switch (projection) {
    case Projection::q:
      return {0, q};
    case Projection::k:
      return {q, kv};
    case Projection::v:
      return {q + kv, kv};
    case Projection::gate:
      return {0, options.mlp_width};
    case Projection::up:
      return {options.mlp_width, options.mlp_width};
    case Projection::o:
    case Projection::down:
      return {0, options.width};
  }
  return {0, 0};
}

DecoderBase make_base(BaseModel& model, at::Device device) {
  DecoderBase base;
  base.options = model.options;
  const auto move = [&](at::Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.to(device).contiguous();
    return tensor;
  };
  const bool tied =
      model.weights.head_VD.is_same(model.weights.embed_VD) ||
      (model.weights.head_VD.defined() && model.weights.head_VD.data_ptr() == model.weights.embed_VD.data_ptr());
  base.embed_VD = move(model.weights.embed_VD);
  if (tied) model.weights.head_VD = base.embed_VD;
  base.head_VD = move(model.weights.head_VD);
  base.final_norm_D = move(model.weights.final_norm_D);
  const auto index = [](Projection p) { return static_cast<std::size_t>(p); };
  for (auto& layer : model.weights.layers) {
    auto& w = layer.weight;
    auto& b = layer.bias;
    const auto q = index(Projection::q), k = index(Projection::k), v = index(Projection::v);
    const auto gate = index(Projection::gate), up = index(Projection::up);
    base.blocks.push_back({.input_norm_D = move(layer.input_norm_D),
                           .post_norm_D = move(layer.post_norm_D),
                           .qkv_ED = stack_rows({&w[q], &w[k], &w[v]}, device),
                           .o_DO = move(w[index(Projection::o)]),
                           .gate_up_2FD = stack_rows({&w[gate], &w[up]}, device),
                           .down_DF = move(w[index(Projection::down)]),
                           .qkv_bias_E = b[q].defined() ? stack_rows({&b[q], &b[k], &b[v]}, device) : at::Tensor(),
                           .o_bias_D = move(b[index(Projection::o)]),
                           .gate_up_bias_2F = b[gate].defined() ? stack_rows({&b[gate], &b[up]}, device) : at::Tensor(),
                           .down_bias_D = move(b[index(Projection::down)]),
                           .q_norm_K = move(layer.q_norm_K),
                           .k_norm_K = move(layer.k_norm_K)});
  }
  std::tie(base.cos_PK, base.sin_PK) = rotary_tables(base.options.rotary, base.options.max_positions, device);
  return base;
}

BaseModel unstack(const DecoderBase& base, const BaseModel& like) {
  BaseModel model = like;
  const auto copy = [](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.to(at::kCPU, tensor.scalar_type(), false, true) : tensor;
  };
  model.weights.embed_VD = copy(base.embed_VD);
  model.weights.final_norm_D = copy(base.final_norm_D);
  model.weights.head_VD = base.options.tied_head ? model.weights.embed_VD : copy(base.head_VD);
  for (std::size_t i = 0; i < base.blocks.size(); ++i) {
    const BlockWeights& block = base.blocks[i];
    LayerWeights& layer = model.weights.layers[i];
    layer.input_norm_D = copy(block.input_norm_D);
    layer.post_norm_D = copy(block.post_norm_D);
    layer.q_norm_K = copy(block.q_norm_K);
    layer.k_norm_K = copy(block.k_norm_K);
    for (std::size_t p = 0; p < kProjections; ++p) {
      const auto projection = static_cast<Projection>(p);
      const auto [first, count] = stacked_rows(base.options, projection);
      const bool attention = projection < Projection::o;
      const at::Tensor& weight = attention                        ? block.qkv_ED
                                 : projection == Projection::o    ? block.o_DO
                                 : projection == Projection::down ? block.down_DF
                                                                  : block.gate_up_2FD;
      const at::Tensor& bias = attention                        ? block.qkv_bias_E
                               : projection == Projection::o    ? block.o_bias_D
                               : projection == Projection::down ? block.down_bias_D
                                                                : block.gate_up_bias_2F;
      layer.weight[p] = copy(weight.narrow(0, first, count));
      layer.bias[p] = bias.defined() ? copy(bias.narrow(0, first, count)) : at::Tensor();
    }
  }
  return model;
}

}  // namespace finetune
