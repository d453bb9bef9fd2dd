// Granite: Llama with multipliers of embeddings, residuals, scores and logits.
#include <cmath>

#include "models/families/family.h"

namespace finetune {

DecoderOptions granite_options(const ConfigReader& config) {
  DecoderOptions o = common_options(
      "granite", config,
      {.reads = {"embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"}});
  o.qkv_bias = o.o_bias = config.flag("attention_bias", false);
  o.mlp_bias = config.flag("mlp_bias", false);
  const auto factor = [&](const char* key) {
    const double value = config.number(key, 1);
    config.require(value > 0 && std::isfinite(value), key, "must be positive");
    return value;
  };
  o.embedding_scale = factor("embedding_multiplier");
  o.scaled_outside = true;
  o.residual_scale = factor("residual_multiplier");
  o.attention_scale = factor("attention_multiplier");
  o.logit_scale = 1 / factor("logits_scaling");
  return o;
}

}  // namespace finetune
