// The tokens with which a checkpoint ends a text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace finetune {

/// eos_token_id of generation_config.json, else of config.json: one id or several. Empty where neither names one.
/// Throws Error (bad_input) naming file and key for what is no id below `vocabulary`.
std::vector<std::int32_t> end_ids_of(const std::filesystem::path& folder, std::int64_t vocabulary);

}  // namespace finetune
