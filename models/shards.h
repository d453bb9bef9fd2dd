// The safetensors files of a checkpoint folder, and where in them each tensor is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/safetensors.h"

namespace finetune {

struct StoredTensor {
  const SafetensorsFile* file = nullptr;
  const TensorEntry* entry = nullptr;

  at::Tensor read() const { return file->read(*entry); }
};

struct Shards {
  std::vector<std::unique_ptr<SafetensorsFile>> files;
  std::map<std::string, StoredTensor> of_tensor;  ///< by name; points into `files`
};

/// model.safetensors, or the files of model.safetensors.index.json, which are in the folder itself. Throws Error
/// (bad_input) naming file or tensor.
Shards open_shards(const std::filesystem::path& folder);

/// Whether the folder has files of weights, readable or not: otherwise its config.json is all there is of a model.
bool has_weights(const std::filesystem::path& folder);

/// Of a model of texts and images the tensors of the text half, under the names that they have in transformers 5
/// (ROOT.layers. ...); older files begin them with language_model. Returns how many tensors were left out.
std::int64_t take_text_half(Shards& shards, const std::string& root);

}  // namespace finetune
