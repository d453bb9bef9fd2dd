// Model families: each maps its config.json onto DecoderOptions. Adding one: its file, and its name in family.cpp.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "models/decoder_options.h"
#include "models/families/config_reader.h"

namespace finetune {

/// Class defaults of a family in transformers, for keys that config.json leaves out.
struct FamilyDefaults {
  double norm_epsilon = 1e-6;
  double theta = 10000;
  std::int64_t kv_heads = 0;  ///< 0: as many as heads, which a null stands for in every family
  std::int64_t head_dim = 0;  ///< 0: width / heads
  std::int64_t max_positions = 2048;
  std::vector<std::string> reads = {};  ///< keys refused elsewhere that the family itself gives a meaning
};

/// What all families share: sizes, norms, rotary. Refuses keys that change behaviour in ways the decoder does not know.
DecoderOptions common_options(const std::string& family, const ConfigReader& config, const FamilyDefaults& defaults);

/// Sliding windows of the Qwen families: off unless use_sliding_window; of the layers that layer_types names, else from
/// layer max_window_layers on.
void qwen_windows(const ConfigReader& config, DecoderOptions& options);

/// Every model_type that is read, in alphabetical order.
std::vector<std::string> family_names();

/// By model_type. Throws Error (bad_input) naming `where` and the families there are.
DecoderOptions decoder_options(const std::string& where, const nlohmann::ordered_json& config);

}  // namespace finetune
