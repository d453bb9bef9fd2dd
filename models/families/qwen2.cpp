// Qwen2 and 2.5: biases on q, k and v.
#include "models/families/family.h"

namespace finetune {

DecoderOptions qwen2_options(const ConfigReader& config) {
  DecoderOptions o = common_options("qwen2", config, {.kv_heads = 32, .max_positions = 32768});
  o.qkv_bias = true;
  qwen_windows(config, o);
  return o;
}

}  // namespace finetune
