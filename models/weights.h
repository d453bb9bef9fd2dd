// The base's weights as the decoder computes with them: projections that share an input are stacked into one matrix,
// so a block has four matrix products forward instead of seven.
//
// Shapes: V vocabulary, D width, H heads, G key/value heads, K head_dim, E = (H + 2G) K, O = H K, F mlp width.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "models/checkpoint.h"
#include "models/decoder_options.h"

namespace finetune {

struct BlockWeights {
  at::Tensor input_norm_D, post_norm_D;
  at::Tensor qkv_ED;  ///< rows: q heads, k heads, v heads
  at::Tensor o_DO;
  at::Tensor gate_up_2FD;  ///< rows: gate, up
  at::Tensor down_DF;
  at::Tensor qkv_bias_E, o_bias_D, gate_up_bias_2F, down_bias_D;  ///< undefined where the family has none
  at::Tensor q_norm_K, k_norm_K;                                  ///< undefined without qk-norm
};

/// Immutable while LoRA trains; shared by all trials and lanes on one device.
struct DecoderBase {
  DecoderOptions options;
  at::Tensor embed_VD;
  std::vector<BlockWeights> blocks;
  at::Tensor final_norm_D;
  at::Tensor head_VD;         ///< the same tensor as embed_VD when tied
  at::Tensor cos_PK, sin_PK;  ///< fp32 rotary tables [max_positions, K/2]
};

/// Stacks a loaded checkpoint and moves it to `device`. The per-projection tensors of `model` become views of the
/// stacked ones (so names and storage stay in step); no second copy of the base stays behind.
DecoderBase make_base(BaseModel& model, at::Device device);

/// The inverse: HuggingFace's separate tensors as copies on the CPU, with the options and config of `like`.
BaseModel unstack(const DecoderBase& base, const BaseModel& like);

/// Rotary tables for positions 0..positions-1.
std::pair<at::Tensor, at::Tensor> rotary_tables(const RotaryOptions& rotary, std::int64_t positions, at::Device device);

/// Rows of a stacked output that belong to one projection: [first, first + count) of E, O, 2F or D.
std::pair<std::int64_t, std::int64_t> stacked_rows(const DecoderOptions& options, Projection projection);

}  // namespace finetune
