// Qwen3: RMSNorm over each head of q and k before the rotation; head_dim independent of the width.
#include "models/families/family.h"

namespace finetune {

DecoderOptions qwen3_options(const ConfigReader& config) {
  DecoderOptions o = common_options("qwen3", config, {.kv_heads = 32, .head_dim = 128, .max_positions = 32768});
  o.qkv_bias = o.o_bias = config.flag("attention_bias", false);
  o.qk_norm = QkNorm::head;
  qwen_windows(config, o);
  return o;
}

}  // namespace finetune
