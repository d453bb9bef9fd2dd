// Llama 1 to 3.x: optional biases on attention (all four) and MLP, no windows.
#include "models/families/family.h"

namespace finetune {

DecoderOptions llama_options(const ConfigReader& config) {
  DecoderOptions o = common_options("llama", config, {});
  o.qkv_bias = o.o_bias = config.flag("attention_bias", false);
  o.mlp_bias = config.flag("mlp_bias", false);
  return o;
}

}  // namespace finetune
