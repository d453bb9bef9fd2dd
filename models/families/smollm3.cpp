// SmolLM3: every fourth layer is not turned, and may have a window.
#include <algorithm>

#include "models/families/family.h"

namespace finetune {

DecoderOptions smollm3_options(const ConfigReader& config) {
  DecoderOptions o = common_options("smollm3", config,
                                    {.theta = 2e6,
                                     .kv_heads = 4,
                                     .max_positions = 32768,
                                     .pad_id = 128004,
                                     .tied_head = true,
                                     .reads = {"no_rope_layers"}});
  o.qkv_bias = o.o_bias = config.flag("attention_bias", false);
  o.mlp_bias = config.flag("mlp_bias", false);
  const std::int64_t every = config.size("no_rope_layer_interval", 4, 1, 4096);
  for (std::int64_t layer = 0; layer < o.layers; ++layer)
    o.rope.push_back((layer + 1) % every == 0 ? Rope::none : Rope::global);
  if (config.has("no_rope_layers")) {  // 1: turned
    const auto& list = config.json()["no_rope_layers"];
    const auto is_flag = [](const auto& value) { return value == 0 || value == 1; };
    config.require(list.is_array() && std::ssize(list) >= o.layers && std::ranges::all_of(list, is_flag),
                   "no_rope_layers", "must have a 0 or a 1 for each layer");
    for (std::size_t layer = 0; layer < o.rope.size(); ++layer)
      o.rope[layer] = list[layer] == 1 ? Rope::global : Rope::none;
  }
  const bool slides = config.flag("use_sliding_window", false);
  set_windows(
      config, slides ? optional_window(config, 0) : 0,
      [&](std::int64_t layer) { return o.rope[static_cast<std::size_t>(layer)] == Rope::none; }, o);
  return o;
}

}  // namespace finetune
