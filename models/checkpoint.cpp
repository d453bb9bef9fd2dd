#include "models/checkpoint.h"

#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <set>

#include "core/error.h"
#include "core/strict_json.h"
#include "models/families/family.h"
#include "models/safetensors.h"

namespace finetune {
namespace {

constexpr const char* kHead = "lm_head.weight";
constexpr const char* kEmbedding = "model.embed_tokens.weight";

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
  const auto index = read_json_file(index_path);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object() || index["weight_map"].empty()) {
    throw bad_input(index_path, "has no weight_map");
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    // A plain name only: an index may not point out of its folder.
    if (name.empty() || name.find('/') != std::string::npos || name.find('\\') != std::string::npos || name.starts_with("..") ||
        name.find('\0') != std::string::npos) {
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
    throw bad_input((folder / "pytorch_model.bin").string(),
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

at::ScalarType compute_dtype(const std::string& wanted, at::ScalarType in_file) {
  if (wanted == "float32") return at::kFloat;
  if (wanted == "bfloat16") return at::kBFloat16;
  return in_file == at::kBFloat16 ? at::kBFloat16 : at::kFloat;
}

std::vector<std::int64_t> expected_shape(const DecoderOptions& o, const std::string& name, const at::Tensor* tensor,
                                         const BaseModel& model) {
  const DecoderWeights& w = model.weights;
  if (tensor == &w.embed_VD || tensor == &w.head_VD) return {o.vocab_size, o.width};
  if (tensor == &w.final_norm_D) return {o.width};
  for (const auto& layer : w.layers) {
    if (tensor == &layer.input_norm_D || tensor == &layer.post_norm_D) return {o.width};
    if (tensor == &layer.q_norm_K || tensor == &layer.k_norm_K) return {o.head_dim};
    for (std::size_t p = 0; p < kProjections; ++p) {
      const auto projection = static_cast<Projection>(p);
      if (tensor == &layer.weight[p]) return {projection_out(o, projection), projection_in(o, projection)};
      if (tensor == &layer.bias[p]) return {projection_out(o, projection)};
    }
  }
  throw failed(name, "unknown tensor");
}

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

at::Tensor read_checked(const SafetensorsFile& file, const TensorEntry& entry, const std::vector<std::int64_t>& shape,
                        at::ScalarType dtype) {
  if (entry.shape != shape) {
    throw bad_input(file.path(), "tensor " + entry.name + " has shape " + shape_text(entry.shape) + "; config.json asks for " +
                                     shape_text(shape));
  }
  const at::Tensor tensor = file.read(entry);
  // min and max see NaN and infinity in one pass without a temporary.
  if (tensor.numel() > 0) {
    const auto [low, high] = at::aminmax(tensor);
    if (!std::isfinite(low.item<double>()) || !std::isfinite(high.item<double>())) {
      throw bad_input(file.path(), "tensor " + entry.name + " holds NaN or infinite values");
    }
  }
  return tensor.to(dtype);
}

}  // namespace

std::vector<std::pair<std::string, at::Tensor*>> named_tensors(BaseModel& model) {
  DecoderWeights& w = model.weights;
  const DecoderOptions& o = model.options;
  std::vector<std::pair<std::string, at::Tensor*>> list{{kEmbedding, &w.embed_VD}};
  for (std::int64_t i = 0; i < o.layers; ++i) {
    LayerWeights& layer = w.layers[static_cast<std::size_t>(i)];
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    list.emplace_back(prefix + "input_layernorm.weight", &layer.input_norm_D);
    list.emplace_back(prefix + "post_attention_layernorm.weight", &layer.post_norm_D);
    for (std::size_t p = 0; p < kProjections; ++p) {
      const auto projection = static_cast<Projection>(p);
      list.emplace_back(projection_path(i, projection) + ".weight", &layer.weight[p]);
      if (projection_has_bias(o, projection)) list.emplace_back(projection_path(i, projection) + ".bias", &layer.bias[p]);
    }
    if (o.qk_norm) {
      list.emplace_back(prefix + "self_attn.q_norm.weight", &layer.q_norm_K);
      list.emplace_back(prefix + "self_attn.k_norm.weight", &layer.k_norm_K);
    }
  }
  list.emplace_back("model.norm.weight", &w.final_norm_D);
  if (!o.tied_head) list.emplace_back(kHead, &w.head_VD);
  return list;
}

BaseModel load_checkpoint(const std::filesystem::path& folder, const std::string& dtype) {
  const std::string config_path = (folder / "config.json").string();
  BaseModel model;
  model.config = read_json_file(config_path);
  model.options = decoder_options(config_path, model.config);
  model.weights.layers.resize(static_cast<std::size_t>(model.options.layers));
  Shards shards = open_shards(folder);
  model.file_dtype = dtype_of(shards);
  model.dtype = compute_dtype(dtype, model.file_dtype);

  std::set<std::string> used;
  for (auto& [name, tensor] : named_tensors(model)) {
    auto found = shards.of_tensor.find(name);
    // A tied model may store the shared matrix under either name.
    if (found == shards.of_tensor.end() && name == kEmbedding && model.options.tied_head) found = shards.of_tensor.find(kHead);
    if (found == shards.of_tensor.end()) throw bad_input(folder.string(), "tensor " + name + " is missing");
    const SafetensorsFile& file = *found->second;
    *tensor = read_checked(file, *file.find(found->first), expected_shape(model.options, name, tensor, model), model.dtype);
    used.insert(found->first);
  }
  if (model.options.tied_head) model.weights.head_VD = model.weights.embed_VD;
  for (const auto& [name, file] : shards.of_tensor) {
    const bool ignored = name.ends_with("rotary_emb.inv_freq") || (model.options.tied_head && name == kHead);
    if (!used.contains(name) && !ignored) {
      throw bad_input(file->path(), "tensor " + name + " does not belong to a " + model.options.family + " model of this config.json");
    }
  }
  return model;
}

}  // namespace finetune
