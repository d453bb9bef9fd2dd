#include "models/checkpoint.h"

#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"
#include "models/families/family.h"
#include "models/safetensors.h"

namespace finetune {
namespace {

constexpr std::uint64_t kLargestIndex = 256 << 20;

// The shards of a checkpoint and where each tensor is.
struct Shards {
  std::vector<std::unique_ptr<SafetensorsFile>> files;
  std::map<std::string, SafetensorsFile*> of_tensor;
};

void add_file(Shards& shards, const std::filesystem::path& path) {
  shards.files.push_back(std::make_unique<SafetensorsFile>(path));
  for (const auto& entry : shards.files.back()->header().tensors) {
    if (!shards.of_tensor.emplace(entry.name, shards.files.back().get()).second) {
      throw bad_input(path.string(), "tensor " + entry.name + " is in another shard too");
    }
  }
}

Shards open_sharded(const std::filesystem::path& folder, const std::string& index_path) {
  const auto index = parse_strict_json(index_path, read_file(index_path, kLargestIndex));
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object() ||
      index["weight_map"].empty()) {
    throw bad_input(index_path, "has no weight_map");
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    // A plain name only: an index may not point out of its folder.
    if (name.empty() || name.find('/') != std::string::npos || name.find('\\') != std::string::npos ||
        name.starts_with("..") || name.find('\0') != std::string::npos) {
      throw bad_input(index_path, "tensor " + tensor + ": " + file.dump().substr(0, 80) + " is not a plain file name");
    }
    names.insert(name);
  }
  Shards shards;
  for (const auto& name : names) add_file(shards, folder / name);
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const auto found = shards.of_tensor.find(tensor);
    const std::string expected = (folder / file.get<std::string>()).string();
    if (found == shards.of_tensor.end() || found->second->path() != expected) {
      throw bad_input(expected, "tensor " + tensor + " is missing though the index names this file");
    }
  }
  return shards;
}

Shards open_shards(const std::filesystem::path& folder) {
  const auto single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  if (std::filesystem::exists(single)) {
    Shards shards;
    add_file(shards, single);
    return shards;
  }
  if (std::filesystem::exists(index)) return open_sharded(folder, index.string());
  if (std::filesystem::exists(folder / "pytorch_model.bin")) {
    throw bad_input(
        (folder / "pytorch_model.bin").string(),
        "is a pickle, which is not read; convert it: python -c \"from transformers import AutoModelForCausalLM "
        "as M; M.from_pretrained('DIR').save_pretrained('OUT')\"");
  }
  throw bad_input(folder.string(), "has neither model.safetensors nor model.safetensors.index.json");
}

at::ScalarType dtype_of(const Shards& shards) {
  const auto& name = shards.of_tensor.contains(kEmbeddingName) ? kEmbeddingName : kHeadName;
  const auto found = shards.of_tensor.find(name);
  if (found == shards.of_tensor.end()) return at::kFloat;
  const std::string& dtype = found->second->find(name)->dtype;
  return dtype == "BF16" ? at::kBFloat16 : dtype == "F16" ? at::kHalf : at::kFloat;
}

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

// A tensor of a checkpoint, what config.json says of its shape, and the rows of the model's tensor that it is.
struct Place {
  std::string name;
  std::vector<std::int64_t> shape;
  at::Tensor tensor;
};

// `weights` has its blocks; its tensors need not be there yet.
std::vector<Place> places(const DecoderOptions& options, const DecoderTensors<at::Tensor>& weights) {
  std::vector<Place> list;
  for_each_tensor(options, weights, [&](const TensorRows& rows, const at::Tensor& tensor) {
    std::int64_t first = 0;
    for (const auto& part : rows.parts) {
      const at::Tensor own = tensor.defined() ? tensor.narrow(0, first, part.rows) : at::Tensor();
      list.push_back({part.name, rows.shape_of(part.rows), own});
      first += part.rows;
    }
  });
  return list;
}

// A tied model may store the shared matrix under either name; the key of __metadata__ that says so is not needed.
std::vector<Place> places_in(const Shards& shards, const BaseModel& model) {
  std::vector<Place> list = places(model.options, model.weights);
  const bool other_name = !shards.of_tensor.contains(kEmbeddingName) && shards.of_tensor.contains(kHeadName);
  if (model.options.tied_head && other_name) list.front().name = kHeadName;
  return list;
}

// Everything that names and shapes can tell, before the first byte of a weight is read.
void check_names(const std::filesystem::path& folder, const Shards& shards, const std::vector<Place>& list,
                 const BaseModel& model) {
  std::set<std::string> expected;
  std::vector<std::string> missing;
  for (const auto& place : list) {
    expected.insert(place.name);
    if (!shards.of_tensor.contains(place.name)) missing.push_back(place.name);
  }
  if (!missing.empty()) {
    const std::string more =
        missing.size() > 1 ? " and " + std::to_string(missing.size() - 1) + " more are missing" : " is missing";
    throw bad_input(folder.string(), "tensor " + missing.front() + more + ", which config.json asks for");
  }
  for (const auto& [name, file] : shards.of_tensor) {
    const bool ignored = name.ends_with("rotary_emb.inv_freq") || (model.options.tied_head && name == kHeadName);
    if (!expected.contains(name) && !ignored) {
      throw bad_input(file->path(), "tensor " + name + " does not belong to a " + model.options.family +
                                        " model of this config.json");
    }
  }
  for (const auto& place : list) {
    const SafetensorsFile& file = *shards.of_tensor.at(place.name);
    const auto& shape = file.find(place.name)->shape;
    if (shape == place.shape) continue;
    throw bad_input(file.path(), "tensor " + place.name + " has shape " + shape_text(shape) +
                                     "; config.json asks for " + shape_text(place.shape));
  }
}

at::Tensor read_finite(const Shards& shards, const std::string& name) {
  const SafetensorsFile& file = *shards.of_tensor.at(name);
  at::Tensor tensor = file.read(*file.find(name));
  if (!all_finite(tensor)) throw bad_input(file.path(), "tensor " + name + " holds NaN or infinite values");
  return tensor;
}

// Two names for one matrix must agree: transformers would quietly untie them.
void check_tied(const Shards& shards) {
  if (!shards.of_tensor.contains(kEmbeddingName) || !shards.of_tensor.contains(kHeadName)) return;
  if (!at::equal(read_finite(shards, kEmbeddingName), read_finite(shards, kHeadName))) {
    throw bad_input(shards.of_tensor.at(kHeadName)->path(),
                    std::string("tensor ") + kHeadName + " differs from " + kEmbeddingName +
                        " though config.json ties them; set tie_word_embeddings to false");
  }
}

}  // namespace

std::vector<std::pair<std::string, at::Tensor>> named_tensors(const BaseModel& model) {
  std::vector<std::pair<std::string, at::Tensor>> list;
  for (auto& place : places(model.options, model.weights)) list.emplace_back(std::move(place.name), place.tensor);
  return list;
}

BaseModel load_checkpoint(const std::filesystem::path& folder, at::ScalarType dtype) {
  const std::string config_path = (folder / "config.json").string();
  BaseModel model;
  model.config = parse_strict_json(config_path, read_file(config_path, kLargestConfig));
  model.options = decoder_options(config_path, model.config);
  model.weights.blocks.resize(static_cast<std::size_t>(model.options.layers));
  const Shards shards = open_shards(folder);
  check_names(folder, shards, places_in(shards, model), model);
  if (model.options.tied_head) check_tied(shards);
  model.file_dtype = dtype_of(shards);
  model.dtype = dtype;
  for_each_tensor(model.options, model.weights,
                  [&](const TensorRows& rows, at::Tensor& tensor) { tensor = at::empty(rows.shape(), dtype); });
  // Converts while it copies: beside the result there is one tensor of the file.
  for (const Place& place : places_in(shards, model)) place.tensor.copy_(read_finite(shards, place.name));
  if (model.options.tied_head) model.weights.head_VD = model.weights.embed_VD;
  return model;
}

}  // namespace finetune
