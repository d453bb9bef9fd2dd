// In how many bits the projections of a frozen base are kept (design contract, 13.7). Torch-free.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernels/api/packed.h"
#include "models/decoder_options.h"

namespace finetune {

struct Quantization {
  std::optional<kernels::Code> code;  ///< absent: the projections have the base's dtype
  bool doubled = false;               ///< nf4: the absmax of each block is a code too

  bool operator==(const Quantization&) const = default;
};

/// Bytes of a matrix of a projection: `element_bytes` each where nothing is quantised.
std::int64_t matrix_bytes(const Quantization& quantization, std::int64_t rows, std::int64_t columns,
                          std::int64_t element_bytes);

/// Bytes of all tensors of a base.
std::int64_t base_bytes(const DecoderOptions& model, const Quantization& quantization, std::int64_t element_bytes);

/// Elements of the largest matrix that projections with one input make.
std::int64_t largest_stack(const DecoderOptions& model);
/// Elements of all projections of a layer.
std::int64_t layer_projections(const DecoderOptions& model);

/// "nf4", "nf4 (doubly quantised)" or "int8"; "" without any.
std::string quantization_name(const Quantization& quantization);

}  // namespace finetune
