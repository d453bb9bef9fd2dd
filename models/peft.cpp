#include "models/peft.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"
#include "core/text.h"
#include "models/families/config_reader.h"
#include "models/safetensors.h"

namespace finetune {
namespace {

constexpr const char* kPrefix = "base_model.model.";
constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kTensorFile = "adapter_model.safetensors";

std::string tensor_name(std::int64_t layer, Projection p, char matrix) {
  return kPrefix + projection_path(layer, p) + ".lora_" + matrix + ".weight";
}

// Settings that would change what the adapter computes. Each must be absent, null, false or empty.
void refuse_unsupported(const ConfigReader& config) {
  for (const char* key : {"modules_to_save", "rank_pattern", "alpha_pattern", "layers_to_transform", "layer_replication", "use_dora",
                          "lora_bias", "exclude_modules", "trainable_token_indices", "target_parameters", "fan_in_fan_out",
                          "megatron_config", "eva_config", "corda_config", "use_qalora", "alora_invocation_tokens"}) {
    if (!config.has(key)) continue;
    const auto& value = config.json()[key];
    const bool off = value == false || ((value.is_object() || value.is_array()) && value.empty());
    config.require(off, key, "is set; only plain LoRA adapters can be read");
  }
  config.require(config.text("bias", "none") == "none", "bias", "must be none; adapters with biases cannot be read");
}

// PEFT matches a name exactly or behind a dot; "all-linear" stands for every projection. A string is a pattern there;
// patterns are left to the tensors that are in the file.
ProjectionSet targets_of(const ConfigReader& config, const SafetensorsFile& file) {
  ProjectionSet present = {};
  for (std::size_t p = 0; p < kProjections; ++p) {
    present[p] = file.find(tensor_name(0, static_cast<Projection>(p), 'A')) != nullptr;
  }
  if (!config.has("target_modules") || config.json()["target_modules"].is_string()) return present;
  const auto& modules = config.json()["target_modules"];
  config.require(modules.is_array(), "target_modules", "must be a list of names or a string");
  for (const auto& module : modules) {
    config.require(module.is_string(), "target_modules", "must hold names");
    const std::string name = module.get<std::string>();
    const bool known = std::any_of(std::begin(kProjectionNames), std::end(kProjectionNames), [&](const char* projection) {
      return name == projection || name.ends_with(std::string(".") + projection);
    });
    config.require(known, "target_modules", "names " + name + ", which is not a projection of the model");
  }
  return present;
}

at::Tensor read_matrix(const SafetensorsFile& file, const std::string& name, std::vector<std::int64_t> shape) {
  const TensorEntry* entry = file.find(name);
  if (entry == nullptr) throw bad_input(file.path(), "tensor " + name + " is missing");
  if (entry->shape != shape) {
    throw bad_input(file.path(), "tensor " + name + " has the wrong shape: the model and r ask for [" + std::to_string(shape[0]) +
                                     ", " + std::to_string(shape[1]) + "]");
  }
  const at::Tensor tensor = file.read(*entry).to(at::kFloat);
  if (!at::isfinite(tensor).all().item<bool>()) throw bad_input(file.path(), "tensor " + name + " holds NaN or infinite values");
  return tensor;
}

}  // namespace

ProjectionSet resolve_targets(const DecoderOptions&, const std::vector<std::string>& targets) {
  ProjectionSet set = {};
  const auto add = [&](std::initializer_list<Projection> projections) {
    for (const Projection p : projections) set[static_cast<std::size_t>(p)] = true;
  };
  for (const auto& target : targets) {
    const auto* const found = std::find(std::begin(kProjectionNames), std::end(kProjectionNames), target);
    if (target == "all-linear") set.fill(true);
    else if (target == "attention") add({Projection::q, Projection::k, Projection::v, Projection::o});
    else if (target == "mlp") add({Projection::gate, Projection::up, Projection::down});
    else if (found != std::end(kProjectionNames)) set[static_cast<std::size_t>(found - std::begin(kProjectionNames))] = true;
    else {
      const std::vector<std::string> names(std::begin(kProjectionNames), std::end(kProjectionNames));
      throw bad_input("", "train.lora.targets: " + target + " is not a projection of the model; allowed: all-linear, attention, mlp, " +
                              join(names, ", "));
    }
  }
  if (targets.empty()) throw bad_input("", "train.lora.targets is empty; allowed: all-linear, attention, mlp, or projection names");
  return set;
}

PeftAdapter load_peft_adapter(const std::filesystem::path& folder, const DecoderOptions& model) {
  const std::string config_path = (folder / kConfigFile).string();
  const auto json = read_json_file(config_path);
  if (!json.is_object()) throw bad_input(config_path, "is not an object");
  const ConfigReader config(config_path, json);
  const std::string type = config.text("peft_type", "");
  config.require(type == "LORA", "peft_type", "must be LORA, found " + (type.empty() ? "nothing" : type));
  refuse_unsupported(config);
  if (!std::filesystem::exists(folder / kTensorFile) && std::filesystem::exists(folder / "adapter_model.bin")) {
    throw bad_input((folder / "adapter_model.bin").string(), "is a pickle, which is not read; save the adapter as safetensors");
  }
  const SafetensorsFile file(folder / kTensorFile);
  PeftAdapter adapter;
  adapter.spec.rank = config.size("r", 8, 1, 65536);
  adapter.spec.alpha = config.number("lora_alpha", 8);
  config.require(std::isfinite(adapter.spec.alpha), "lora_alpha", "must be finite");
  adapter.spec.dropout = config.number("lora_dropout", 0);
  config.require(adapter.spec.dropout >= 0 && adapter.spec.dropout < 1, "lora_dropout", "must be in [0, 1)");
  adapter.spec.rslora = config.flag("use_rslora", false);
  adapter.spec.targets = targets_of(config, file);
  adapter.tensors = AdapterTensors(model.layers);
  std::size_t used = 0;
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    for (std::size_t p = 0; p < kProjections; ++p) {
      if (!adapter.spec.targets[p]) continue;
      const auto projection = static_cast<Projection>(p);
      auto& [a_RD, b_OR] = adapter.tensors.at(layer, projection);
      a_RD = read_matrix(file, tensor_name(layer, projection, 'A'), {adapter.spec.rank, projection_in(model, projection)});
      b_OR = read_matrix(file, tensor_name(layer, projection, 'B'), {projection_out(model, projection), adapter.spec.rank});
      used += 2;
    }
  }
  if (used == 0) throw bad_input(file.path(), "has no LoRA tensor of the first layer; is it an adapter of this model?");
  if (used != file.header().tensors.size()) {
    for (const auto& entry : file.header().tensors) {
      bool known = false;
      for (std::int64_t layer = 0; layer < model.layers && !known; ++layer) {
        for (std::size_t p = 0; p < kProjections && !known; ++p) {
          const auto projection = static_cast<Projection>(p);
          known = adapter.spec.targets[p] && (entry.name == tensor_name(layer, projection, 'A') || entry.name == tensor_name(layer, projection, 'B'));
        }
      }
      if (!known) throw bad_input(file.path(), "tensor " + entry.name + " does not belong to a plain LoRA adapter of this model");
    }
  }
  return adapter;
}

void save_peft_adapter(const std::filesystem::path& folder, const DecoderOptions& model, const PeftAdapter& adapter,
                       const std::string& base_model_path) {
  std::filesystem::create_directories(folder);
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  auto modules = nlohmann::ordered_json::array();
  for (std::size_t p = 0; p < kProjections; ++p) {
    if (!adapter.spec.targets[p]) continue;
    const auto projection = static_cast<Projection>(p);
    modules.push_back(kProjectionNames[p]);
    for (std::int64_t layer = 0; layer < model.layers; ++layer) {
      const auto& [a_RD, b_OR] = adapter.tensors.at(layer, projection);
      tensors.emplace_back(tensor_name(layer, projection, 'A'), a_RD.to(at::kFloat));
      tensors.emplace_back(tensor_name(layer, projection, 'B'), b_OR.to(at::kFloat));
    }
  }
  write_safetensors(folder / kTensorFile, std::move(tensors));
  // Sorted keys, like PEFT. Everything a reader might default differently is written out.
  const auto alpha = adapter.spec.alpha;
  const bool whole = alpha == std::floor(alpha) && std::fabs(alpha) < 1e15;
  nlohmann::ordered_json config;
  config["alpha_pattern"] = nlohmann::ordered_json::object();
  config["auto_mapping"] = nullptr;
  config["base_model_name_or_path"] = base_model_path;
  config["bias"] = "none";
  config["fan_in_fan_out"] = false;
  config["inference_mode"] = true;
  config["init_lora_weights"] = true;
  config["layers_pattern"] = nullptr;
  config["layers_to_transform"] = nullptr;
  if (whole) config["lora_alpha"] = static_cast<std::int64_t>(alpha);
  else config["lora_alpha"] = alpha;
  config["lora_dropout"] = adapter.spec.dropout;
  config["modules_to_save"] = nullptr;
  config["peft_type"] = "LORA";
  config["r"] = adapter.spec.rank;
  config["rank_pattern"] = nlohmann::ordered_json::object();
  config["revision"] = nullptr;
  config["target_modules"] = modules;
  config["task_type"] = "CAUSAL_LM";
  config["use_dora"] = false;
  config["use_rslora"] = adapter.spec.rslora;
  write_file_atomically(folder / kConfigFile, config.dump(2) + "\n");
}

}  // namespace finetune
