// Mistral: no biases, a sliding window in every layer unless sliding_window is null. The class default is 4096.
#include "models/families/family.h"

namespace finetune {

DecoderOptions mistral_options(const ConfigReader& config) {
  DecoderOptions o = common_options("mistral", config, {.kv_heads = 8, .max_positions = 4096 * 32});
  const bool absent = !config.json().contains("sliding_window");
  if (absent || config.has("sliding_window")) {
    o.window.assign(o.window.size(), config.size("sliding_window", 4096, 1, std::int64_t{1} << 26));
  }
  return o;
}

}  // namespace finetune
