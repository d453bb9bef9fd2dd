#include "models/weights.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace finetune {

std::pair<at::Tensor, at::Tensor> rotary_tables(const RotaryOptions& rotary, std::int64_t positions,
                                                at::Device device) {
  // fp32 like transformers: position x inverse frequency in fp32, then cos and sin, then the attention factor.
  const auto angles = [&](const std::vector<float>& frequencies) {
    return at::outer(at::arange(positions, at::kFloat), at::tensor(at::ArrayRef<float>(frequencies), at::kFloat));
  };
  at::Tensor angles_PK = angles(rotary.inverse_frequencies);
  if (!rotary.long_frequencies.empty()) angles_PK = at::cat({angles_PK, angles(rotary.long_frequencies)});
  return {(angles_PK.cos() * rotary.attention_factor).to(device),
          (angles_PK.sin() * rotary.attention_factor).to(device)};
}

at::Tensor dense_weight(const DecoderBase& base, std::int64_t layer, Projection projection) {
  const auto at_layer = static_cast<std::size_t>(layer);
  const Stack stack = stack_of(projection);
  if (base.packed.empty()) {
    const auto [first, count] = stacked_rows(base.options, projection);
    return std::get<0>(stacked_tensors(base.blocks[at_layer], stack)).narrow(0, first, count);
  }
  const auto modules = modules_of(base.options, stack);
  const auto module = static_cast<std::size_t>(std::ranges::find(modules, projection) - modules.begin());
  return dequantized(packed_stack(base.packed[at_layer], stack)[module], base.embed_VD.scalar_type());
}

at::ScalarType activation_dtype(at::ScalarType weights, at::DeviceType device) {
  return device == at::kCPU && weights == at::kBFloat16 ? at::kFloat : weights;
}

at::ScalarType DecoderBase::activations() const {
  return activation_dtype(embed_VD.scalar_type(), embed_VD.device().type());
}

void widen_vectors(DecoderBase& base) {
  for_each_tensor(base.options, base, [&](const TensorRows&, at::Tensor& tensor) {
    if (tensor.defined() && tensor.dim() == 1) tensor = tensor.to(base.activations());
  });
}

DecoderBase make_base(const BaseModel& model, at::Device device) {
  DecoderBase base{model.weights, model.options, model.packed, {}, {}, {}, {}};
  for_each_tensor(base.options, base, [&](const TensorRows&, at::Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.to(device).contiguous();
  });
  widen_vectors(base);
  for (PackedBlock& block : base.packed)
    for (PackedStack& stack : block)
      for (ops::PackedMatrix& matrix : stack) matrix = to_device(matrix, device);
  if (base.options.tied_head) base.head_VD = base.embed_VD;
  const DecoderOptions& o = base.options;
  std::tie(base.cos_PK, base.sin_PK) = rotary_tables(o.rotary, o.max_positions, device);
  if (std::ranges::find(o.rope, Rope::local) != o.rope.end())
    std::tie(base.local_cos_PK, base.local_sin_PK) = rotary_tables(o.local_rotary, o.max_positions, device);
  return base;
}

}  // namespace finetune
