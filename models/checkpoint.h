// A HuggingFace checkpoint folder as options and tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "models/decoder_options.h"

namespace finetune {

struct LayerWeights {
  at::Tensor input_norm_D, post_norm_D;
  std::array<at::Tensor, kProjections> weight;  ///< [out, in]
  std::array<at::Tensor, kProjections> bias;    ///< undefined where the family has none
  at::Tensor q_norm_K, k_norm_K;                ///< qk-norm only
};

struct DecoderWeights {
  at::Tensor embed_VD;
  std::vector<LayerWeights> layers;
  at::Tensor final_norm_D;
  at::Tensor head_VD;  ///< the same tensor as embed_VD when tied
};

struct BaseModel {
  DecoderOptions options;
  DecoderWeights weights;
  at::ScalarType dtype = at::kFloat;       ///< of weights and activations
  at::ScalarType file_dtype = at::kFloat;  ///< of the tensors in the file
  nlohmann::ordered_json config;           ///< config.json as it was
};

/// Reads model.safetensors or the sharded index in `dtype`, kFloat or kBFloat16 (engine/precision.h chooses), whatever
/// the file has. Tensors are read and converted one at a time, so memory never holds more than the result and one
/// tensor of the file. Projections that share an input are views of one tensor, as make_base stacks them. Throws Error
/// (bad_input) naming file, key or tensor.
BaseModel load_checkpoint(const std::filesystem::path& folder, at::ScalarType dtype);

/// HuggingFace names and tensors in file order; without lm_head.weight when tied.
std::vector<std::pair<std::string, at::Tensor*>> named_tensors(BaseModel& model);

}  // namespace finetune
