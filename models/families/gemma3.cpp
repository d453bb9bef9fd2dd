// Gemma 3: norms of heads, layers with a window turned by angles of their own, every sixth without a window. gemma3 is
// the model of texts and images, of which the text half is read.
#include <nlohmann/json.hpp>

#include "models/families/family.h"
#include "models/rope.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

// The settings of the layers of one type. transformers 5 nests them by type; before, rope_theta and rope_scaling were
// those of full_attention, and rope_local_base_freq all there was for the others.
Json rope_of(const ConfigReader& config, const std::string& layer_type) {
  const bool full = layer_type == "full_attention";
  Json settings = Json::object();
  if (full && config.has("rope_scaling")) settings["rope_scaling"] = config.json()["rope_scaling"];
  if (full && config.has("rope_theta")) settings["rope_theta"] = config.json()["rope_theta"];
  if (!full) settings["rope_theta"] = config.number("rope_local_base_freq", 10000);
  const ConfigReader by_type = config.object("rope_parameters");
  if (by_type.has(layer_type.c_str())) settings["rope_parameters"] = by_type.object(layer_type.c_str()).json();
  return settings;
}

// common_options reads neither spelling: they are taken apart here.
Json without_rope(Json config) {
  for (const char* key : {"rope_parameters", "rope_scaling", "rope_theta"}) config.erase(key);
  return config;
}

}  // namespace

DecoderOptions gemma3_text_options(const ConfigReader& config) {
  const Json plain = without_rope(config.json());
  DecoderOptions o =
      gemma_base("gemma3_text", {config.where(), plain},
                 {.kv_heads = 4,
                  .max_positions = 131072,
                  .activation_key = "hidden_activation",
                  .activation_names = {"gelu_pytorch_tanh"},
                  .reads = {"query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"}});
  gemma_scores(config, 0, 0, o);
  o.qk_norm = QkNorm::head;
  const std::int64_t pattern =
      config.size("sliding_window_pattern", config.size("_sliding_window_pattern", 6, 1, 4096), 1, 4096);
  set_windows(
      config, optional_window(config, 4096), [&](std::int64_t layer) { return (layer + 1) % pattern != 0; }, o);
  const auto rotary = [&](const char* layer_type, double theta) {
    return rotary_options(config.where(), rope_of(config, layer_type),
                          {.head_dim = o.head_dim, .max_positions = o.max_positions, .default_theta = theta});
  };
  o.rotary = rotary("full_attention", 1e6);
  o.local_rotary = rotary("sliding_attention", 1e4);
  for (const std::int64_t window : o.window) o.rope.push_back(window > 0 ? Rope::local : Rope::global);
  return o;
}

Json text_half_config(const Json& config) {
  Json text = config["text_config"];
  text["model_type"] = "gemma3_text";
  text["architectures"] = {"Gemma3ForCausalLM"};
  for (const char* key :
       {"dtype", "torch_dtype", "bos_token_id", "eos_token_id", "pad_token_id", "transformers_version"}) {
    if (config.contains(key) && !text.contains(key)) text[key] = config[key];
  }
  return text;
}

DecoderOptions gemma3_options(const ConfigReader& config) {
  config.require(config.has("text_config"), "text_config", "is missing");
  const ConfigReader text = config.object("text_config");
  // What the class fills in, and published files leave out.
  Json whole = {{"vocab_size", 262208}, {"num_attention_heads", 8}};
  whole.update(text.json());
  DecoderOptions o = gemma3_text_options({text.where(), whole});
  o.family = "gemma3";
  o.root = "model.language_model";
  return o;
}

}  // namespace finetune
