#include "models/peft.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "core/folders.h"
#include "core/strict_json.h"
#include "core/text.h"
#include "models/adapter_patterns.h"
#include "models/decoder_tensors.h"
#include "models/families/config_reader.h"
#include "models/safetensors.h"

namespace finetune {
namespace {

constexpr const char* kPrefix = "base_model.model.";
constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kTensorFile = "adapter_model.safetensors";

std::string tensor_name(const DecoderOptions& model, std::int64_t layer, Projection p, char matrix) {
  return kPrefix + projection_path(model, layer, p) + ".lora_" + matrix + ".weight";
}

std::string magnitude_name(const DecoderOptions& model, std::int64_t layer, Projection p) {
  return kPrefix + projection_path(model, layer, p) + ".lora_magnitude_vector";
}

// Settings that would change what the adapter computes. Each must be absent, null, false or empty.
constexpr const char* kUnsupported[] = {"layers_to_transform", "layer_replication", "lora_bias",
                                        "exclude_modules",     "fan_in_fan_out",    "trainable_token_indices",
                                        "target_parameters",   "megatron_config",   "use_qalora",
                                        "use_bdlora",          "arrow_config",      "alora_invocation_tokens",
                                        "monteclora_config",   "kasa_config",       "velora_config"};

void refuse_unsupported(const ConfigReader& config) {
  for (const char* key : kUnsupported) {
    if (!config.has(key)) continue;
    const auto& value = config.json()[key];
    const bool off = value == false || ((value.is_object() || value.is_array()) && value.empty());
    config.require(off, key, "is set; only LoRA and DoRA adapters can be read");
  }
  config.require(config.text("bias", "none") == "none", "bias", "must be none; adapters with biases cannot be read");
  if (!config.has("init_lora_weights")) return;
  // The others replace the base's weights when PEFT loads them: on the untouched base the adapter means something else.
  const auto& init = config.json()["init_lora_weights"];
  const bool keeps_base = init.is_boolean() || init == "gaussian" || init == "eva" || init == "orthogonal";
  config.require(keeps_base, "init_lora_weights",
                 "is " + init.dump().substr(0, 40) +
                     ", which changes the base; save the adapter converted to plain LoRA "
                     "(path_initial_model_for_weight_conversion in PEFT)");
}

SavedModules saved_of(const ConfigReader& config, const DecoderOptions& model) {
  constexpr const char* kKey = "modules_to_save";
  if (!config.has(kKey)) return {};
  const auto& names = config.json()[kKey];
  const bool texts = names.is_array() && std::ranges::all_of(names, [](const auto& name) { return name.is_string(); });
  config.require(texts, kKey, "must be a list of names");
  const std::string key = std::string("key ") + kKey;
  const SavedModules saved = saved_modules(config.where(), key, names.get<std::vector<std::string>>());
  check_saved_modules(config.where(), key, saved, model);
  return saved;
}

// Without target_modules, PEFT has a default for each family: the tensors tell it.
ProjectionSet targets_of(const ConfigReader& config, const SafetensorsFile& file, const DecoderOptions& model) {
  if (config.has("target_modules")) return match_target_modules(config.where(), config.json()["target_modules"], model);
  ProjectionSet present;
  for (const Projection p : projections_of(model).members()) {
    if (file.find(tensor_name(model, 0, p, 'A')) != nullptr) present.add(p);
  }
  return present;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::vector<std::string> sizes;
  for (const std::int64_t size : shape) sizes.push_back(std::to_string(size));
  return "[" + join(sizes, ", ") + "]";
}

at::Tensor read_matrix(const SafetensorsFile& file, const std::string& name, const std::vector<std::int64_t>& shape) {
  const TensorEntry* entry = file.find(name);
  if (entry == nullptr) throw bad_input(file.path(), "tensor " + name + " is missing");
  if (entry->shape != shape) {
    throw bad_input(file.path(),
                    "tensor " + name + " has the wrong shape: the model and r ask for " + shape_text(shape));
  }
  const at::Tensor tensor = file.read(*entry).to(at::kFloat);
  if (!all_finite(tensor)) throw bad_input(file.path(), "tensor " + name + " holds NaN or infinite values");
  return tensor;
}

AdapterSpec read_spec(const ConfigReader& config) {
  const std::string type = config.text("peft_type", "");
  config.require(type == "LORA", "peft_type", "must be LORA, found " + (type.empty() ? "nothing" : type));
  refuse_unsupported(config);
  AdapterSpec spec;
  spec.rank = config.size("r", 8, 1, 65536);  // 8 and 8: PEFT's defaults for files that leave them out
  spec.alpha = config.number("lora_alpha", 8);
  config.require(std::isfinite(spec.alpha), "lora_alpha", "must be finite");
  spec.dropout = config.number("lora_dropout", 0);
  config.require(spec.dropout >= 0 && spec.dropout < 1, "lora_dropout", "must be in [0, 1)");
  spec.rslora = config.flag("use_rslora", false);
  spec.dora = config.flag("use_dora", false);
  return spec;
}

}  // namespace

ModuleRanks module_ranks(const std::string& where, const AdapterSpec& spec, const DecoderOptions& model) {
  return module_ranks(where, spec.patterns, {.rank = spec.rank, .alpha = spec.alpha, .rslora = spec.rslora}, model);
}

// Tensor names of the modules that stand for the base's.
static std::string saved_name(const std::string& base_name) {
  return kPrefix + base_name;
}

static void read_saved(const SafetensorsFile& file, const DecoderOptions& model, PeftAdapter& adapter,
                       std::set<std::string>& used) {
  const auto read = [&](bool saved, const std::string& base_name, at::Tensor& to) {
    if (!saved) return;
    to = read_matrix(file, saved_name(base_name), {model.vocab_size, model.width});
    used.insert(saved_name(base_name));
  };
  read(adapter.spec.saved.embed_tokens, embedding_name(model), adapter.tensors.embed_VD);
  read(adapter.spec.saved.lm_head, kHeadName, adapter.tensors.head_VD);
}

PeftAdapter load_peft_adapter(const std::filesystem::path& folder, const DecoderOptions& model) {
  const std::string config_path = (folder / kConfigFile).string();
  const auto json = parse_strict_json(config_path, read_file(config_path, kLargestConfig));
  if (!json.is_object()) throw bad_input(config_path, "is not an object");
  const ConfigReader config(config_path, json);
  PeftAdapter adapter{read_spec(config), AdapterTensors(model.layers)};
  adapter.spec.patterns = read_patterns(config_path, json);
  const ModuleRanks ranks = module_ranks(config_path, adapter.spec, model);
  if (!std::filesystem::exists(folder / kTensorFile) && std::filesystem::exists(folder / "adapter_model.bin")) {
    throw bad_input((folder / "adapter_model.bin").string(),
                    "is a pickle, which is not read; save the adapter as safetensors");
  }
  const SafetensorsFile file(folder / kTensorFile);
  adapter.spec.targets = targets_of(config, file, model);
  adapter.spec.saved = saved_of(config, model);
  if (config.has("target_modules")) adapter.unmatched = unmatched_modules(json["target_modules"], model);
  std::set<std::string> used;
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    for (const Projection projection : adapter.spec.targets.members()) {
      const std::string a = tensor_name(model, layer, projection, 'A'), b = tensor_name(model, layer, projection, 'B');
      const std::int64_t rank =
          ranks.empty() ? adapter.spec.rank : ranks[static_cast<std::size_t>(layer)][projection].rank;
      auto& pair = adapter.tensors.at(layer, projection);
      pair.a_RD = read_matrix(file, a, {rank, projection_in(model, projection)});
      pair.b_OR = read_matrix(file, b, {projection_out(model, projection), rank});
      used.insert({a, b});
      if (!adapter.spec.dora) continue;
      const std::string m = magnitude_name(model, layer, projection);
      pair.m_O = read_matrix(file, m, {projection_out(model, projection)});
      used.insert(m);
    }
  }
  read_saved(file, model, adapter, used);
  if (used.empty())
    throw bad_input(file.path(), "has no LoRA tensor of the first layer; is it an adapter of this model?");
  for (const auto& entry : file.header().tensors) {
    if (!used.contains(entry.name))
      throw bad_input(file.path(), "tensor " + entry.name + " does not belong to a LoRA adapter of this model");
  }
  adapter.idle = idle_patterns(config_path, adapter.spec.patterns, adapter.spec.targets, model);
  return adapter;
}

std::vector<std::string> adapter_notes(const std::string& folder, const PeftAdapter& adapter) {
  std::vector<std::string> notes;
  if (!adapter.unmatched.empty())
    notes.push_back(folder + ": target_modules names " + join(adapter.unmatched, ", ") +
                    ", which the model does not have: passed over");
  if (!adapter.idle.empty()) notes.push_back(folder + ": no module has " + join(adapter.idle, ", ") + ": passed over");
  return notes;
}

// Names; of a text half a pattern, since the other half has modules of the same names.
static nlohmann::ordered_json target_modules_of(const DecoderOptions& model, ProjectionSet targets) {
  std::vector<std::string> names;
  for (const Projection p : targets.members()) names.emplace_back(name_of(p));
  if (model.root == DecoderOptions().root) return names;
  std::string root;
  for (const char c : model.root) root += c == '.' ? std::string("\\.") : std::string(1, c);
  return root + R"(\.layers\.\d+\.(self_attn|mlp)\.()" + join(names, "|") + ")";
}

// As PEFT's users write it.
static nlohmann::ordered_json alpha_json(double alpha) {
  if (alpha == std::floor(alpha) && std::fabs(alpha) < 1e15) return static_cast<std::int64_t>(alpha);
  return alpha;
}

void save_peft_adapter(const std::filesystem::path& folder, const DecoderOptions& model, const PeftAdapter& adapter,
                       const std::string& base_model_path) {
  make_folders(folder);
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const Projection projection : adapter.spec.targets.members()) {
    for (std::int64_t layer = 0; layer < model.layers; ++layer) {
      const auto& [a_RD, b_OR, m_O] = adapter.tensors.at(layer, projection);
      tensors.emplace_back(tensor_name(model, layer, projection, 'A'), a_RD);
      tensors.emplace_back(tensor_name(model, layer, projection, 'B'), b_OR);
      if (adapter.spec.dora) tensors.emplace_back(magnitude_name(model, layer, projection), m_O);
    }
  }
  const AdapterTensors& modules = adapter.tensors;
  if (adapter.spec.saved.embed_tokens) tensors.emplace_back(saved_name(embedding_name(model)), modules.embed_VD);
  if (adapter.spec.saved.lm_head) tensors.emplace_back(saved_name(kHeadName), modules.head_VD);
  write_safetensors(folder / kTensorFile, std::move(tensors), {.dtype = at::kFloat});
  // Sorted keys, like PEFT. Everything a reader might default differently is written out.
  nlohmann::ordered_json config;
  config["alpha_pattern"] = nlohmann::ordered_json::object();
  for (const auto& [pattern, own] : adapter.spec.patterns.alphas) config["alpha_pattern"][pattern] = alpha_json(own);
  config["auto_mapping"] = nullptr;
  config["base_model_name_or_path"] = base_model_path;
  config["bias"] = "none";
  config["fan_in_fan_out"] = false;
  config["inference_mode"] = true;
  config["init_lora_weights"] = true;
  config["layers_pattern"] = nullptr;
  config["layers_to_transform"] = nullptr;
  config["lora_alpha"] = alpha_json(adapter.spec.alpha);
  config["lora_dropout"] = adapter.spec.dropout;
  config["modules_to_save"] = nullptr;
  if (!adapter.spec.saved.empty()) config["modules_to_save"] = adapter.spec.saved.names();
  config["peft_type"] = "LORA";
  config["r"] = adapter.spec.rank;
  config["rank_pattern"] = nlohmann::ordered_json::object();
  for (const auto& [pattern, rank] : adapter.spec.patterns.ranks) config["rank_pattern"][pattern] = rank;
  config["revision"] = nullptr;
  config["target_modules"] = target_modules_of(model, adapter.spec.targets);
  config["task_type"] = "CAUSAL_LM";
  config["use_dora"] = adapter.spec.dora;
  config["use_rslora"] = adapter.spec.rslora;
  write_file_atomically(folder / kConfigFile, config.dump(2) + "\n");
}

}  // namespace finetune
