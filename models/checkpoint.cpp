#include "models/checkpoint.h"

#include <ATen/ATen.h>

#include <initializer_list>
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

constexpr const char* kHead = "lm_head.weight";
constexpr const char* kEmbedding = "model.embed_tokens.weight";
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
  const auto& name = shards.of_tensor.contains(kEmbedding) ? kEmbedding : kHead;
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

// A tensor of the model, where it goes and what config.json says of it.
struct Place {
  std::string name;
  at::Tensor* tensor;
  std::vector<std::int64_t> shape;
};

std::vector<Place> places(BaseModel& model) {
  DecoderWeights& w = model.weights;
  const DecoderOptions& o = model.options;
  std::vector<Place> list{{kEmbedding, &w.embed_VD, {o.vocab_size, o.width}}};
  for (std::int64_t i = 0; i < o.layers; ++i) {
    LayerWeights& layer = w.layers[static_cast<std::size_t>(i)];
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    list.push_back({prefix + "input_layernorm.weight", &layer.input_norm_D, {o.width}});
    list.push_back({prefix + "post_attention_layernorm.weight", &layer.post_norm_D, {o.width}});
    for (std::size_t p = 0; p < kProjections; ++p) {
      const auto projection = static_cast<Projection>(p);
      const std::string path = projection_path(i, projection);
      const std::int64_t out = projection_out(o, projection);
      list.push_back({path + ".weight", &layer.weight[p], {out, projection_in(o, projection)}});
      if (projection_has_bias(o, projection)) list.push_back({path + ".bias", &layer.bias[p], {out}});
    }
    if (o.qk_norm) {
      list.push_back({prefix + "self_attn.q_norm.weight", &layer.q_norm_K, {o.head_dim}});
      list.push_back({prefix + "self_attn.k_norm.weight", &layer.k_norm_K, {o.head_dim}});
    }
  }
  list.push_back({"model.norm.weight", &w.final_norm_D, {o.width}});
  if (!o.tied_head) list.push_back({kHead, &w.head_VD, {o.vocab_size, o.width}});
  return list;
}

// A tied model may store the shared matrix under either name; the key of __metadata__ that says so is not needed.
void accept_either_name(const Shards& shards, std::vector<Place>& list, bool tied) {
  if (tied && !shards.of_tensor.contains(kEmbedding) && shards.of_tensor.contains(kHead)) list.front().name = kHead;
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
    const bool ignored = name.ends_with("rotary_emb.inv_freq") || (model.options.tied_head && name == kHead);
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

// Projections that share an input lie one behind the other, as the decoder multiplies by them (models/weights.h).
// Stacked later each would be there twice for a while, and small blocks that are freed stay in the heap.
void allocate_together(const DecoderOptions& o, LayerWeights& layer, std::initializer_list<Projection> projections,
                       at::ScalarType dtype) {
  std::int64_t rows = 0;
  for (const Projection p : projections) rows += projection_out(o, p);
  const at::Tensor all = at::empty({rows, projection_in(o, *projections.begin())}, dtype);
  rows = 0;
  for (const Projection p : projections) {
    layer.weight[static_cast<std::size_t>(p)] = all.narrow(0, rows, projection_out(o, p));
    rows += projection_out(o, p);
  }
}

// Converts while it copies: beside the result there is one tensor of the file.
void fill(const Place& place, const Shards& shards, at::ScalarType dtype) {
  const at::Tensor in_file = read_finite(shards, place.name);
  if (place.tensor->defined())
    place.tensor->copy_(in_file);
  else
    *place.tensor = in_file.to(dtype);
}

// Two names for one matrix must agree: transformers would quietly untie them.
void check_tied(const Shards& shards) {
  if (!shards.of_tensor.contains(kEmbedding) || !shards.of_tensor.contains(kHead)) return;
  if (!at::equal(read_finite(shards, kEmbedding), read_finite(shards, kHead))) {
    throw bad_input(shards.of_tensor.at(kHead)->path(),
                    std::string("tensor ") + kHead + " differs from " + kEmbedding +
                        " though config.json ties them; set tie_word_embeddings to false");
  }
}

}  // namespace

std::vector<std::pair<std::string, at::Tensor*>> named_tensors(BaseModel& model) {
  std::vector<std::pair<std::string, at::Tensor*>> list;
  for (auto& place : places(model)) list.emplace_back(std::move(place.name), place.tensor);
  return list;
}

BaseModel load_checkpoint(const std::filesystem::path& folder, at::ScalarType dtype) {
  const std::string config_path = (folder / "config.json").string();
  BaseModel model;
  model.config = parse_strict_json(config_path, read_file(config_path, kLargestConfig));
  model.options = decoder_options(config_path, model.config);
  model.weights.layers.resize(static_cast<std::size_t>(model.options.layers));
  const Shards shards = open_shards(folder);
  std::vector<Place> list = places(model);
  accept_either_name(shards, list, model.options.tied_head);
  check_names(folder, shards, list, model);
  if (model.options.tied_head) check_tied(shards);
  model.file_dtype = dtype_of(shards);
  model.dtype = dtype;
  for (auto& layer : model.weights.layers) {
    allocate_together(model.options, layer, {Projection::q, Projection::k, Projection::v}, dtype);
    allocate_together(model.options, layer, {Projection::gate, Projection::up}, dtype);
  }
  for (const auto& place : list) fill(place, shards, dtype);
  if (model.options.tied_head) model.weights.head_VD = model.weights.embed_VD;
  return model;
}

}  // namespace finetune
