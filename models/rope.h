// Rotary frequencies of the scalings that the families' checkpoints use, as transformers computes them (fp32).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "models/decoder_options.h"

namespace finetune {

/// What rotary_options needs of a model besides its settings.
struct RotaryShape {
  std::int64_t head_dim = 0;
  std::int64_t max_positions = 0;
  double default_theta = 10000;
  bool partial = false;  ///< partial_rotary_factor may say that a first part of each head is turned alone
};

/// From config.json, in the spelling of transformers 4 (rope_theta, rope_scaling) or 5 (rope_parameters). Types:
/// default, linear, dynamic (its static part: lengths never exceed max_position_embeddings), llama3, yarn (Peng et al.,
/// 2023), longrope (Ding et al., 2024). Throws Error (bad_input) naming `where` and the key.
RotaryOptions rotary_options(const std::string& where, const nlohmann::ordered_json& config, const RotaryShape& shape);

}  // namespace finetune
