// Model families: each maps its config.json onto DecoderOptions. Adding one: its file, and its name in family.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/decoder_options.h"
#include "models/families/config_reader.h"

namespace finetune {

/// Class defaults of a family in transformers, for keys that config.json leaves out, and what sets it apart.
struct FamilyDefaults {
  double norm_epsilon = 1e-6;
  double theta = 10000;
  std::int64_t kv_heads = 0;  ///< 0: as many as heads, which a null stands for in every family
  std::int64_t head_dim = 0;  ///< 0: width / heads
  std::int64_t max_positions = 2048;
  std::int64_t pad_id = -1;
  bool tied_head = false;
  bool partial_rotary = false;  ///< partial_rotary_factor is read
  kernels::Activation activation = kernels::Activation::silu;
  const char* activation_key = "hidden_act";
  std::vector<std::string> activation_names = {"silu", "swish"};  ///< all that the key may say; the first by default
  std::vector<std::string> reads = {};  ///< keys refused elsewhere that the family itself gives a meaning
};

/// What all families share: sizes, norms, rotary. Refuses keys that change behaviour in ways the decoder does not know.
DecoderOptions common_options(const std::string& family, const ConfigReader& config, const FamilyDefaults& defaults);

/// Sliding windows of the Qwen families: off unless use_sliding_window; of the layers that layer_types names, else from
/// layer max_window_layers on.
void qwen_windows(const ConfigReader& config, DecoderOptions& options);

/// Sets the window of layers: of those that layer_types names sliding, else of those that `slides` gives. 0: none.
void set_windows(const ConfigReader& config, std::int64_t window, const std::function<bool(std::int64_t layer)>& slides,
                 DecoderOptions& options);

/// The value of a key that is null or a positive number; 0 for null, `otherwise` where it is absent.
std::int64_t optional_window(const ConfigReader& config, std::int64_t otherwise);

/// What the Gemma families share: common_options with GELU gates, norms of 1 + w, scaled embeddings and a tied head.
DecoderOptions gemma_base(const std::string& family, const ConfigReader& config, FamilyDefaults defaults);
/// Scores by query_pre_attn_scalar, their cap and that of logits (0: none), norms around both branches.
void gemma_scores(const ConfigReader& config, double attention_cap, double logit_cap, DecoderOptions& options);

/// The config of the text half of a model of texts and images, as a checkpoint of that half alone has it.
nlohmann::ordered_json text_half_config(const nlohmann::ordered_json& config);

/// Every model_type that is read, in alphabetical order.
std::vector<std::string> family_names();

/// By model_type. Throws Error (bad_input) naming `where` and the families there are.
DecoderOptions decoder_options(const std::string& where, const nlohmann::ordered_json& config);

}  // namespace finetune
