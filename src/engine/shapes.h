// Sizes of public models. Torch-free.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/decoder_options.h"

namespace finetune {

/// Names that shape_of knows, the smallest model first.
std::vector<std::string> shape_names();
/// Sizes as in the model's config.json; throws Error (bad_input) for an unknown name, with `where` and those there are.
DecoderOptions shape_of(const std::string& where, const std::string& name, std::int64_t max_positions);

}  // namespace finetune
