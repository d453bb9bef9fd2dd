// What would fit into the free memory of a session's devices: its base kept in every form there is, and full
// fine-tuning. Arithmetic on sizes, so neither weights nor data are needed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/session.h"

namespace finetune {

struct Fit {
  std::string name;                  ///< "LoRA over nf4", "full fine-tuning in float32"
  std::int64_t base_bytes = 0;       ///< on each device
  std::int64_t tokens_per_pass = 0;  ///< that memory allows
  std::int64_t train_bytes = 0;      ///< of one trial alone, on the device that needs most
  bool trains = false;               ///< one trial fits
  std::int64_t trials = 0;           ///< side by side in a search, beside the default run
};

/// LoRA over a base in float32, bfloat16, nf4 and int8, then full fine-tuning in the dtype that it would have; with
/// train.method: full that alone. The quantised have the session's dtype and model.double_quantize.
std::vector<Fit> what_fits(const Session& session);

}  // namespace finetune
