#include "models/families/family.h"

#include <algorithm>
#include <array>

#include "core/text.h"
#include "models/rope.h"

// By model_type; NAME_options is defined in NAME.cpp.
#define FINETUNE_FAMILIES(FAMILY) FAMILY(llama) FAMILY(mistral) FAMILY(qwen2) FAMILY(qwen3)

namespace finetune {

#define FINETUNE_DECLARE(name) DecoderOptions name##_options(const ConfigReader& config);
FINETUNE_FAMILIES(FINETUNE_DECLARE)

namespace {

struct Family {
  const char* model_type;
  DecoderOptions (*options)(const ConfigReader&);
};
#define FINETUNE_ROW(name) Family{#name, name##_options},
constexpr std::array kFamilies = {FINETUNE_FAMILIES(FINETUNE_ROW)};

// Bounds that no real checkpoint exceeds: they keep arithmetic on sizes far from overflow.
constexpr std::int64_t kMost = 1 << 20, kMostVocabulary = 1 << 24, kMostPositions = 1 << 26;
constexpr std::int64_t kMostRotary = std::int64_t{1} << 30;  // positions x head_dim: tables of 4 GiB

// Keys with which transformers computes something else. Ignoring one would train the wrong model.
constexpr std::array kUnknownBehaviour = {
    "quantization_config",     "num_experts",           "num_local_experts", "attention_multiplier",
    "residual_multiplier",     "embedding_multiplier",  "logits_scaling",    "attn_logit_softcapping",
    "final_logit_softcapping", "query_pre_attn_scalar", "no_rope_layers"};

void refuse_unknown_behaviour(const ConfigReader& config, const std::vector<std::string>& known) {
  for (const char* key : kUnknownBehaviour) {
    const bool read = std::ranges::find(known, key) != known.end();
    config.require(read || !config.has(key), key, "changes the model in a way that is not supported");
  }
  // A gate of another kind is composed of ATen's operations, of which nobody has shown that a trial's bits do not
  // depend on its neighbours.
  const std::string activation = config.text("hidden_act", "silu");
  config.require(activation == "silu" || activation == "swish", "hidden_act",
                 "is " + activation + "; only silu is supported");
}

}  // namespace

DecoderOptions common_options(const std::string& family, const ConfigReader& config, const FamilyDefaults& defaults) {
  refuse_unknown_behaviour(config, defaults.reads);
  DecoderOptions o;
  o.family = family;
  o.vocab_size = config.size("vocab_size", std::nullopt, 1, kMostVocabulary);
  o.width = config.size("hidden_size", std::nullopt, 1, kMost);
  o.mlp_width = config.size("intermediate_size", std::nullopt, 1, kMost);
  o.layers = config.size("num_hidden_layers", std::nullopt, 1, 1024);
  o.heads = config.size("num_attention_heads", std::nullopt, 1, 4096);
  const bool given = config.json().contains("num_key_value_heads");  // null means: as many as heads
  o.kv_heads =
      config.size("num_key_value_heads", !given && defaults.kv_heads > 0 ? defaults.kv_heads : o.heads, 1, 4096);
  config.require(o.heads % o.kv_heads == 0, "num_key_value_heads", "must divide num_attention_heads");
  const std::int64_t derived = defaults.head_dim > 0 ? defaults.head_dim : o.width / o.heads;
  o.head_dim = config.size("head_dim", derived, 2, 4096);
  config.require(o.head_dim >= 2 && o.head_dim % 2 == 0, "head_dim", "must be even");
  o.max_positions = config.size("max_position_embeddings", defaults.max_positions, 1, kMostPositions);
  config.require(o.max_positions * o.head_dim <= kMostRotary, "max_position_embeddings",
                 "is too large: the rotary tables would not fit");
  o.norm_epsilon = config.number("rms_norm_eps", defaults.norm_epsilon);
  config.require(o.norm_epsilon > 0 && o.norm_epsilon < 1, "rms_norm_eps", "must be between 0 and 1");
  o.tied_head = config.flag("tie_word_embeddings", false);
  o.window.assign(static_cast<std::size_t>(o.layers), 0);
  o.rotary = rotary_options(config.where(), config.json(), o.head_dim, o.max_positions, defaults.theta);
  return o;
}

void qwen_windows(const ConfigReader& config, DecoderOptions& o) {
  std::int64_t window = config.size("sliding_window", 4096, 1, kMostPositions);
  const bool null = config.json().contains("sliding_window") && !config.has("sliding_window");
  if (null || !config.flag("use_sliding_window", false)) window = 0;
  if (!config.has("layer_types")) {
    const std::int64_t first = config.size("max_window_layers", 28, 0, 4096);
    for (std::int64_t layer = first; layer < o.layers; ++layer) o.window[static_cast<std::size_t>(layer)] = window;
    return;
  }
  const auto& types = config.json()["layer_types"];
  config.require(types.is_array() && static_cast<std::int64_t>(types.size()) == o.layers, "layer_types",
                 "must name one type per layer");
  for (std::size_t layer = 0; layer < types.size(); ++layer) {
    const bool sliding = types[layer] == "sliding_attention";
    config.require(sliding || types[layer] == "full_attention", "layer_types", "has a type that is not supported");
    o.window[layer] = sliding ? window : 0;
  }
}

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const auto& family : kFamilies) names.emplace_back(family.model_type);
  std::ranges::sort(names);
  return names;
}

DecoderOptions decoder_options(const std::string& where, const nlohmann::ordered_json& json) {
  if (!json.is_object()) throw bad_input(where, "is not an object");
  const ConfigReader config(where, json);
  const std::string type = config.text("model_type", "");
  const auto family = std::ranges::find_if(kFamilies, [&](const Family& f) { return type == f.model_type; });
  if (family != kFamilies.end()) return family->options(config);
  throw bad_input(where, "key model_type is " + (type.empty() ? "missing" : type) +
                             "; supported families: " + join(family_names(), ", "));
}

}  // namespace finetune
