// Gemma 1, and what its successors keep of it.
#include <cmath>

#include "models/families/family.h"

namespace finetune {

DecoderOptions gemma_base(const std::string& family, const ConfigReader& config, FamilyDefaults defaults) {
  defaults.tied_head = true;
  defaults.activation = kernels::Activation::gelu_tanh;
  defaults.head_dim = 256;
  defaults.pad_id = 0;
  DecoderOptions o = common_options(family, config, defaults);
  o.qkv_bias = o.o_bias = config.flag("attention_bias", false);
  o.unit_offset_norm = true;
  o.embedding_scale = std::sqrt(static_cast<double>(o.width));
  return o;
}

// The first files say gelu and mean the approximation by tanh.
DecoderOptions gemma_options(const ConfigReader& config) {
  return gemma_base("gemma", config,
                    {.kv_heads = 16, .max_positions = 8192, .activation_names = {"gelu_pytorch_tanh", "gelu"}});
}

}  // namespace finetune
