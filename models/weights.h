// The base as the decoder computes with it: a model's tensors on a device, with the rotary tables.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

#include "models/checkpoint.h"
#include "models/decoder_tensors.h"
#include "models/packed.h"

namespace finetune {

/// Immutable while LoRA trains; shared by all trials and lanes on one device.
struct DecoderBase : DecoderTensors<at::Tensor> {
  DecoderOptions options;
  std::vector<PackedBlock> packed;  ///< of each layer, instead of the projections' weights; empty: not quantised
  at::Tensor cos_PK, sin_PK;        ///< fp32 rotary tables [max_positions, K/2], or fewer columns of a partial one
  at::Tensor local_cos_PK, local_sin_PK;  ///< of the layers with Rope::local; undefined without such

  /// Of what is computed between the products: activation_dtype of the matrices.
  at::ScalarType activations() const;
};

/// The dtype of activations over weights in another: the same, but fp32 on the processor where those are bf16. There
/// only the operands of products are bf16, and norms and biases are fp32.
at::ScalarType activation_dtype(at::ScalarType weights, at::DeviceType device);
/// Norms and biases in the dtype of the activations.
void widen_vectors(DecoderBase& base);

/// On the model's own device the storage of matrices is shared, elsewhere copied.
DecoderBase make_base(const BaseModel& model, at::Device device);

/// The weights of a projection's rows [count, inputs] in the base's dtype: a view of the base's own, or, of a quantised
/// one, dequantised.
at::Tensor dense_weight(const DecoderBase& base, std::int64_t layer, Projection projection);

/// Rotary tables for positions 0..positions-1; with longrope those of long sequences behind them (AngleRows).
std::pair<at::Tensor, at::Tensor> rotary_tables(const RotaryOptions& rotary, std::int64_t positions, at::Device device);

}  // namespace finetune
