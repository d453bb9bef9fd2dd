// Gemma 2: norms around both branches, soft caps on scores and logits, a window in every other layer from the first on.
#include <cmath>

#include "models/families/family.h"

namespace finetune {

void gemma_scores(const ConfigReader& config, double attention_cap, double logit_cap, DecoderOptions& o) {
  const auto cap = [&](const char* key, double otherwise) {
    if (!config.has(key)) return config.json().contains(key) ? 0.0 : otherwise;  // null: none
    config.require(config.number(key, 0) > 0, key, "must be positive");
    return config.number(key, 0);
  };
  const double scalar = config.number("query_pre_attn_scalar", 256);
  config.require(scalar > 0 && std::isfinite(scalar), "query_pre_attn_scalar", "must be positive");
  o.attention_scale = 1 / std::sqrt(scalar);
  o.attention_softcap = cap("attn_logit_softcapping", attention_cap);
  o.logit_softcap = cap("final_logit_softcapping", logit_cap);
  o.post_norm = true;
}

DecoderOptions gemma2_options(const ConfigReader& config) {
  DecoderOptions o =
      gemma_base("gemma2", config,
                 {.kv_heads = 4,
                  .max_positions = 8192,
                  .activation_key = "hidden_activation",
                  .activation_names = {"gelu_pytorch_tanh"},
                  .reads = {"query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"}});
  gemma_scores(config, 50, 30, o);
  set_windows(
      config, optional_window(config, 4096), [](std::int64_t layer) { return layer % 2 == 0; }, o);
  return o;
}

}  // namespace finetune
