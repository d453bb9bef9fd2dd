// Mistral: no biases, a sliding window in every layer unless sliding_window is null. The class default is 4096.
#include "models/families/family.h"

namespace finetune {

DecoderOptions mistral_options(const ConfigReader& config) {
  DecoderOptions o = common_options("mistral", config, {.kv_heads = 8, .max_positions = 4096 * 32});
  o.window.assign(o.window.size(), optional_window(config, 4096));
  return o;
}

}  // namespace finetune
