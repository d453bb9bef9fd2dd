#include "models/families/family.h"

#include <algorithm>
#include <array>

#include "core/text.h"
#include "models/rope.h"

// By model_type; NAME_options is defined in NAME.cpp.
// clang-format off
#define FINETUNE_FAMILIES(FAMILY) \
  FAMILY(gemma) \
  FAMILY(gemma2) \
  FAMILY(gemma3) \
  FAMILY(gemma3_text) \
  FAMILY(granite) \
  FAMILY(llama) \
  FAMILY(mistral) \
  FAMILY(olmo2) \
  FAMILY(phi3) \
  FAMILY(qwen2) \
  FAMILY(qwen3) \
  FAMILY(smollm3)
// clang-format on

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
constexpr std::array kUnknownBehaviour = {"quantization_config",
                                          "num_experts",
                                          "num_local_experts",
                                          "attention_multiplier",
                                          "residual_multiplier",
                                          "embedding_multiplier",
                                          "logits_scaling",
                                          "attn_logit_softcapping",
                                          "final_logit_softcapping",
                                          "query_pre_attn_scalar",
                                          "no_rope_layers",
                                          "use_bidirectional_attention",
                                          "attention_chunk_size",
                                          "kv_lora_rank",
                                          "clip_qkv",
                                          "use_qk_norm",
                                          "qk_layernorm",
                                          "alibi",
                                          "parallel_attn",
                                          "use_parallel_residual",
                                          "logit_scale",
                                          "scale_emb",
                                          "scale_depth",
                                          "rope_interleaved"};

void refuse_unknown_behaviour(const ConfigReader& config, const FamilyDefaults& family) {
  for (const char* key : kUnknownBehaviour) {
    const bool read = std::ranges::find(family.reads, key) != family.reads.end();
    const bool off = !config.has(key) || config.json()[key] == false;
    config.require(read || off, key, "changes the model in a way that is not supported");
  }
}

void require_activation(const ConfigReader& config, const FamilyDefaults& family) {
  const std::string given = config.text(family.activation_key, family.activation_names.front());
  config.require(std::ranges::find(family.activation_names, given) != family.activation_names.end(),
                 family.activation_key, "is " + given + "; only " + family.activation_names.front() + " is supported");
}

// nn.Embedding counts a negative padding_idx from the end.
std::int64_t pad_id_of(const ConfigReader& config, std::int64_t otherwise, std::int64_t vocabulary) {
  if (config.json().contains("pad_token_id") && !config.has("pad_token_id")) return -1;  // null: none
  if (!config.has("pad_token_id")) return otherwise < vocabulary ? otherwise : -1;
  const std::int64_t id = config.size("pad_token_id", std::nullopt, -vocabulary, vocabulary - 1);
  return id < 0 ? id + vocabulary : id;
}

// transformers drops these while it trains.
void note_dropout(const ConfigReader& config, DecoderOptions& options) {
  for (const char* key : {"attention_dropout", "resid_pdrop", "embd_pdrop"}) {
    if (config.number(key, 0) == 0) continue;
    options.notes.push_back(config.where() + ": " + key + " is " + config.json()[key].dump() +
                            " and is not done: nothing is dropped but by train.lora.dropout");
  }
}

}  // namespace

DecoderOptions common_options(const std::string& family, const ConfigReader& config, const FamilyDefaults& defaults) {
  refuse_unknown_behaviour(config, defaults);
  require_activation(config, defaults);
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
  o.pad_id = pad_id_of(config, defaults.pad_id, o.vocab_size);
  o.tied_head = config.flag("tie_word_embeddings", defaults.tied_head);
  o.activation = defaults.activation;
  note_dropout(config, o);
  o.window.assign(static_cast<std::size_t>(o.layers), 0);
  o.rotary = rotary_options(config.where(), config.json(),
                            {.head_dim = o.head_dim,
                             .max_positions = o.max_positions,
                             .default_theta = defaults.theta,
                             .partial = defaults.partial_rotary});
  return o;
}

void set_windows(const ConfigReader& config, std::int64_t window, const std::function<bool(std::int64_t)>& slides,
                 DecoderOptions& o) {
  const bool listed = config.has("layer_types");
  const auto& types = config.json();
  if (listed) {
    const auto& list = types["layer_types"];
    config.require(list.is_array() && static_cast<std::int64_t>(list.size()) == o.layers, "layer_types",
                   "must name one type per layer");
  }
  for (std::size_t layer = 0; layer < o.window.size(); ++layer) {
    bool sliding = slides(static_cast<std::int64_t>(layer));
    if (listed) {
      const auto& type = types["layer_types"][layer];
      sliding = type == "sliding_attention";
      config.require(sliding || type == "full_attention", "layer_types", "has a type that is not supported");
    }
    o.window[layer] = sliding ? window : 0;
  }
}

std::int64_t optional_window(const ConfigReader& config, std::int64_t otherwise) {
  const bool null = config.json().contains("sliding_window") && !config.has("sliding_window");
  if (null || (otherwise == 0 && !config.has("sliding_window"))) return 0;
  return config.size("sliding_window", otherwise, 1, kMostPositions);
}

void qwen_windows(const ConfigReader& config, DecoderOptions& o) {
  const std::int64_t given = optional_window(config, 4096), first = config.size("max_window_layers", 28, 0, 4096);
  set_windows(
      config, config.flag("use_sliding_window", false) ? given : 0, [&](std::int64_t layer) { return layer >= first; },
      o);
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
