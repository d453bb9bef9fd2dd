#include "models/checkpoint.h"

#include <ATen/ATen.h>

#include <set>

#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"
#include "models/families/family.h"
#include "models/shards.h"

namespace finetune {
namespace {

at::ScalarType dtype_of(const Shards& shards, const DecoderOptions& options) {
  const std::string embedding = embedding_name(options);
  const auto found = shards.of_tensor.find(shards.of_tensor.contains(embedding) ? embedding : kHeadName);
  if (found == shards.of_tensor.end()) return at::kFloat;
  const std::string& dtype = found->second.entry->dtype;
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
  const bool other_name =
      !shards.of_tensor.contains(embedding_name(model.options)) && shards.of_tensor.contains(kHeadName);
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
  for (const auto& [name, tensor] : shards.of_tensor) {
    const bool ignored = name.ends_with("rotary_emb.inv_freq") || (model.options.tied_head && name == kHeadName);
    if (!expected.contains(name) && !ignored) {
      throw bad_input(tensor.file->path(), "tensor " + name + " does not belong to a " + model.options.family +
                                               " model of this config.json");
    }
  }
  for (const auto& place : list) {
    const StoredTensor& stored = shards.of_tensor.at(place.name);
    const auto& shape = stored.entry->shape;
    if (shape == place.shape) continue;
    throw bad_input(stored.file->path(), "tensor " + place.name + " has shape " + shape_text(shape) +
                                             "; config.json asks for " + shape_text(place.shape));
  }
}

at::Tensor read_finite(const Shards& shards, const std::string& name) {
  const StoredTensor& stored = shards.of_tensor.at(name);
  at::Tensor tensor = stored.read();
  if (!all_finite(tensor)) throw bad_input(stored.file->path(), "tensor " + name + " holds NaN or infinite values");
  return tensor;
}

// Two names for one matrix must agree: transformers would quietly untie them.
void check_tied(const Shards& shards, const DecoderOptions& options) {
  const std::string embedding = embedding_name(options);
  if (!shards.of_tensor.contains(embedding) || !shards.of_tensor.contains(kHeadName)) return;
  if (!at::equal(read_finite(shards, embedding), read_finite(shards, kHeadName))) {
    throw bad_input(shards.of_tensor.at(kHeadName).file->path(),
                    std::string("tensor ") + kHeadName + " differs from " + embedding +
                        " though config.json ties them; set tie_word_embeddings to false");
  }
}

void read_packed(BaseModel& model, const Shards& shards) {
  for (std::int64_t layer = 0; layer < model.options.layers; ++layer) {
    PackedBlock& block = model.packed.emplace_back();
    for (const Stack stack : kStacks) {
      for (const auto& part : weight_rows(model.options, layer, stack).parts)
        packed_stack(block, stack).push_back(quantize(read_finite(shards, part.name), model.quantization, part.name));
    }
  }
}

void take_text(BaseModel& model, const std::string& left_out) {
  model.config = text_half_config(model.config);
  model.notes.push_back("the model is the text half of the checkpoint: " + left_out +
                        " tensors of images are left out, and what is merged is a " +
                        model.config["model_type"].get<std::string>() + " checkpoint");
}

BaseModel open_config(const std::filesystem::path& folder, at::ScalarType dtype, const Quantization& quantization) {
  const std::string path = (folder / "config.json").string();
  BaseModel model;
  model.config = parse_strict_json(path, read_file(path, kLargestConfig));
  model.options = decoder_options(path, model.config);
  model.notes = model.options.notes;
  model.dtype = dtype;
  model.quantization = quantization;
  return model;
}

// Files whose tensors have the names and shapes that config.json asks for. No number is read.
Shards open_weights(const std::filesystem::path& folder, BaseModel& model) {
  model.weights.blocks.resize(static_cast<std::size_t>(model.options.layers));
  Shards shards = open_shards(folder);
  if (model.config.contains("text_config"))
    take_text(model, std::to_string(take_text_half(shards, model.options.root)));
  check_names(folder, shards, places_in(shards, model), model);
  model.file_dtype = dtype_of(shards, model.options);
  return shards;
}

// Older files have torch_dtype.
at::ScalarType named_dtype(const nlohmann::ordered_json& config) {
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (!config.contains(key)) continue;
    if (config[key] == "bfloat16") return at::kBFloat16;
    if (config[key] == "float16") return at::kHalf;
  }
  return at::kFloat;
}

}  // namespace

std::vector<std::pair<std::string, at::Tensor>> named_tensors(const BaseModel& model) {
  std::vector<std::pair<std::string, at::Tensor>> list;
  for (auto& place : places(model.options, model.weights)) list.emplace_back(std::move(place.name), place.tensor);
  return list;
}

void dequantize(BaseModel& model) {
  for (std::size_t layer = 0; layer < model.packed.size(); ++layer) {
    for (const Stack stack : kStacks) {
      at::Tensor& weight = std::get<0>(stacked_tensors(model.weights.blocks[layer], stack));
      weight = at::empty(weight_rows(model.options, 0, stack).shape(), model.dtype);
      dequantize(packed_stack(model.packed[layer], stack), weight);
      packed_stack(model.packed[layer], stack).clear();
    }
  }
  model.packed.clear();
  model.quantization = {};
}

BaseModel read_sizes(const std::filesystem::path& folder, at::ScalarType dtype, const Quantization& quantization) {
  BaseModel model = open_config(folder, dtype, quantization);
  if (has_weights(folder)) {
    open_weights(folder, model);
    return model;
  }
  if (model.config.contains("text_config")) take_text(model, "all");
  model.file_dtype = named_dtype(model.config);
  return model;
}

BaseModel load_checkpoint(const std::filesystem::path& folder, at::ScalarType dtype, const Quantization& quantization) {
  BaseModel model = open_config(folder, dtype, quantization);
  const Shards shards = open_weights(folder, model);
  if (model.options.tied_head) check_tied(shards, model.options);
  for_each_tensor(model.options, model.weights, [&](const TensorRows& rows, at::Tensor& tensor) {
    if (!rows.projection || !quantization.code) tensor = at::empty(rows.shape(), dtype);
  });
  // Converts while it copies: beside the result there is one tensor of the file.
  for (const Place& place : places_in(shards, model))
    if (place.tensor.defined()) place.tensor.copy_(read_finite(shards, place.name));
  if (quantization.code) read_packed(model, shards);
  if (model.options.tied_head) model.weights.head_VD = model.weights.embed_VD;
  return model;
}

}  // namespace finetune
