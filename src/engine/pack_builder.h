// Turns planned chunks of examples into the tensors of one device pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "data/example.h"
#include "engine/planner.h"
#include "models/decoder.h"

namespace finetune {

/// A trial's part in a pass.
struct PackTrial {
  std::int64_t slot = 0;
  std::int64_t rank = 16;  ///< computed rank
  float scale = 1;         ///< alpha / r or alpha / sqrt(r)
  double dropout = 0;      ///< 0 in evaluation
  std::uint64_t seed = 0;
  std::int64_t step = 0;                        ///< 1-based; keys the dropout mask
  double loss_scale = 0;                        ///< 1 / loss tokens of the whole batch
  std::array<bool, kProjections> targets = {};  ///< all false: the bare base (full fine-tuning)
  std::span<const Example> examples;            ///< the data set
  std::span<const std::int64_t> batch;          ///< indices into it, in order
};

/// The pass, and which of its loss rows belong to which chunk.
struct BuiltPack {
  Pack pack;
  std::vector<std::pair<std::int64_t, std::int64_t>> rows;  ///< per chunk: [begin, end) in loss_rows_N
};

/// Fewest rows of any product: a part of fewer than 8 rows goes through another routine of MKL, with other bits, and a
/// product is cut into a part per thread (tests/kernels/test_products.cpp keeps watch).
std::int64_t fewest_rows();

BuiltPack build_pack(const Pass& pass, std::span<const PackTrial> trials, at::Device device);

}  // namespace finetune
