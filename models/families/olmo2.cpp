// OLMo 2: norms of what the branches give instead of what goes into them, and of q and k over all heads at once.
#include "models/families/family.h"

namespace finetune {

DecoderOptions olmo2_options(const ConfigReader& config) {
  DecoderOptions o = common_options("olmo2", config, {.norm_epsilon = 1e-5, .pad_id = 1});
  o.qkv_bias = o.o_bias = config.flag("attention_bias", false);
  o.pre_norm = false;
  o.post_norm = true;
  o.qk_norm = QkNorm::whole;
  return o;
}

}  // namespace finetune
