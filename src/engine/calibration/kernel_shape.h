// What the speed of kernels depends on in a model, as plain numbers: a calibration is made for it and kept by it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "models/decoder_options.h"

namespace finetune {

struct KernelShape {
  std::int64_t width = 0, mlp_width = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, vocab_size = 0;
  std::int64_t rank = 16;  ///< computed rank of an adapter: a multiple of 16
  std::int64_t window = 0;
  double softcap = 0;  ///< of attention's scores
  bool gelu = false, unit_offset_norm = false;
  bool operator==(const KernelShape&) const = default;
};

/// Of a model and the rank of its adapters. A window that only some layers have is left out: whole attention is the
/// dearer one.
KernelShape kernel_shape_of(const DecoderOptions& model, std::int64_t rank);

/// A llama of this shape with `layers` layers, to try whole passes on.
DecoderOptions decoder_of(const KernelShape& shape, std::int64_t layers, std::int64_t max_positions);

/// Members by name. Reading throws Error (bad_input) naming `where` for a member that is missing, of another type, or
/// that no decoder has.
nlohmann::ordered_json to_json(const KernelShape& shape);
KernelShape kernel_shape_from_json(const std::string& where, const nlohmann::ordered_json& json);

}  // namespace finetune
