// Rotary frequencies of the scalings that the families' checkpoints use, as transformers computes them (fp32).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "models/decoder_options.h"

namespace finetune {

/// From config.json, in the spelling of transformers 4 (rope_theta, rope_scaling) or 5 (rope_parameters). Types:
/// default, linear, dynamic (its static part: lengths never exceed max_position_embeddings), llama3, yarn (Peng et al.,
/// 2023). Throws Error (bad_input) naming `where` and the key.
RotaryOptions rotary_options(const std::string& where, const nlohmann::ordered_json& config, std::int64_t head_dim,
                             std::int64_t max_positions, double default_theta);

}  // namespace finetune
