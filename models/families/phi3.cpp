// Phi-3 and Phi-4-mini: q, k and v are one module, gate and up another; a part of each head may be turned, by longrope.
#include <nlohmann/json.hpp>

#include "models/families/family.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

// Older files call longrope su, or yarn; where they leave out the length before stretching it is 4096.
Json with_longrope_named(Json config) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!config.contains(key) || !config[key].is_object()) continue;
    for (const char* name : {"rope_type", "type"}) {
      if (config[key].contains(name) && (config[key][name] == "su" || config[key][name] == "yarn"))
        config[key][name] = "longrope";
    }
  }
  if (!config.contains("original_max_position_embeddings")) config["original_max_position_embeddings"] = 4096;
  return config;
}

}  // namespace

DecoderOptions phi3_options(const ConfigReader& given) {
  const Json json = with_longrope_named(given.json());
  const ConfigReader config(given.where(), json);
  DecoderOptions o = common_options(
      "phi3", config, {.norm_epsilon = 1e-5, .max_positions = 4096, .pad_id = 32000, .partial_rotary = true});
  o.fused = true;
  o.window.assign(o.window.size(), optional_window(config, 0));
  return o;
}

}  // namespace finetune
