// Models of given sizes with random weights, and rows of random tokens: speed does not depend on their values.
#pragma once

#include <cstdint>
#include <vector>

#include "data/example.h"
#include "models/weights.h"

namespace finetune {

/// Weights drawn on the device, normal with deviation 0.02, norms one.
DecoderBase random_base(const DecoderOptions& options, at::ScalarType dtype, at::Device device);

/// Rows of random ids. `shortest` to `longest` tokens each, drawn evenly; every token but the first is a target.
std::vector<Example> random_rows(std::int64_t count, std::int64_t shortest, std::int64_t longest,
                                 std::int64_t vocabulary);

/// Floating point operations of training one token in rows of `row` tokens, causal attention, all tokens scored. LoRA:
/// 4 (blocks + head) + 6 adapters + 7 row heads head_dim layers; full: 6 (blocks + head) + the same.
double flops_per_token(const DecoderOptions& options, double row, std::int64_t rank, bool full);

}  // namespace finetune
