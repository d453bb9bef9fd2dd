// A HuggingFace checkpoint folder as options and tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "models/decoder_tensors.h"
#include "models/packed.h"

namespace finetune {

struct BaseModel {
  DecoderOptions options;
  DecoderTensors<at::Tensor> weights;  ///< without the projections' where they are quantised
  std::vector<PackedBlock> packed;     ///< of each layer; empty: nothing is quantised
  Quantization quantization;
  at::ScalarType dtype = at::kFloat;       ///< of weights and activations
  at::ScalarType file_dtype = at::kFloat;  ///< of the tensors in the file
  nlohmann::ordered_json config;           ///< config.json as it was; of a text half that of its text
  std::vector<std::string> notes;          ///< what was left out, to be said once
};

/// Reads model.safetensors or the sharded index in `dtype`, kFloat or kBFloat16 (engine/precision.h chooses), whatever
/// the file has. Tensors are read, converted and quantised one at a time, so memory never holds more than the result
/// and one tensor of the file. Throws Error (bad_input) naming file, key or tensor.
BaseModel load_checkpoint(const std::filesystem::path& folder, at::ScalarType dtype,
                          const Quantization& quantization = {});

/// What config.json alone says of a model: everything but the tensors. Where there are weights their names and shapes
/// are looked at; else `file_dtype` is the one that config.json names, float32 where it names none. Throws Error
/// (bad_input) naming key or tensor.
BaseModel read_sizes(const std::filesystem::path& folder, at::ScalarType dtype, const Quantization& quantization = {});

/// The quantised projections as tensors of the model's dtype again.
void dequantize(BaseModel& model);

/// HuggingFace names and tensors, views of the model's, which is not quantised; without lm_head.weight when tied.
std::vector<std::pair<std::string, at::Tensor>> named_tensors(const BaseModel& model);

}  // namespace finetune
