// What multiplies blocks of bfloat16: one instruction set each, behind one layout of the operands, so that packing and
// the walk over a product (rounded_product.cpp) are the same for all.
//
// A tile is 16 rows of x, or 16 outputs, times a step of 32 inputs, without gaps. Of x it is [row][input], of weights
// [pair of inputs][output][2]; what a matrix does not have is zero. The steps of 16 rows, or outputs, follow each
// other.
#pragma once

#include <cstdint>
#include <span>

namespace finetune::kernels::cpu {

inline constexpr std::int64_t kTileRows = 16, kTileInputs = 32, kTileSize = kTileRows * kTileInputs;

/// y [16 row_tiles, 32] (+)= the sums of `steps` steps; 1 or 2 tiles of rows, always 2 of outputs.
struct RoundedBlock {
  const std::uint16_t* x;
  std::int64_t x_next;  ///< elements from one tile of rows to the next
  int row_tiles;
  const std::uint16_t* w;
  std::int64_t w_next;
  float* y;
  std::int64_t y_row;
  std::int64_t steps;
  bool extend;  ///< the sums go on from what stands in y
};

struct RoundedUnit {
  const char* name;
  void (*begin)();  ///< before blocks on a thread
  void (*end)();
  void (*block)(const RoundedBlock& block);
};

const RoundedUnit& rounded_amx();
const RoundedUnit& rounded_avx512();
const RoundedUnit& rounded_floats();  ///< fp32 arithmetic of table()
/// Those that this processor runs, the fastest first.
std::span<const RoundedUnit* const> rounded_units();

}  // namespace finetune::kernels::cpu
