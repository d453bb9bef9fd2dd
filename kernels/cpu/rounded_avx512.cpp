// AVX512-BF16: a register of 16 outputs takes two inputs at once.
#include <immintrin.h>

#include "kernels/cpu/rounded_unit.h"

namespace finetune::kernels::cpu {
namespace {

constexpr int kRows = 8;  // with 2 tiles of outputs 16 registers of sums

__m512bh pairs(const std::uint16_t* from) {
  return (__m512bh)_mm512_loadu_si512(from);
}
__m512bh pair_of(const std::uint16_t* from) {
  std::int32_t bits;
  __builtin_memcpy(&bits, from, sizeof bits);
  return (__m512bh)_mm512_set1_epi32(bits);
}

void few_rows(const RoundedBlock& b, const std::uint16_t* x, float* y) {
  __m512 sums[kRows][2] = {};
  if (b.extend) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      sums[r][0] = _mm512_loadu_ps(y + r * b.y_row);
      sums[r][1] = _mm512_loadu_ps(y + r * b.y_row + kTileRows);
    }
  }
  for (std::int64_t step = 0; step < b.steps; ++step) {
    const std::uint16_t *x_step = x + step * kTileSize, *w = b.w + step * kTileSize;
    for (std::int64_t k = 0; k < kTileInputs; k += 2) {
      const __m512bh left = pairs(w + k * kTileRows), right = pairs(w + b.w_next + k * kTileRows);
#pragma GCC unroll 8  // else the sums live in memory
      for (int r = 0; r < kRows; ++r) {
        const __m512bh value = pair_of(x_step + r * kTileInputs + k);
        sums[r][0] = _mm512_dpbf16_ps(sums[r][0], value, left);
        sums[r][1] = _mm512_dpbf16_ps(sums[r][1], value, right);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    _mm512_storeu_ps(y + r * b.y_row, sums[r][0]);
    _mm512_storeu_ps(y + r * b.y_row + kTileRows, sums[r][1]);
  }
}

void block(const RoundedBlock& b) {
  for (int tile = 0; tile < b.row_tiles; ++tile) {
    for (int r = 0; r < kTileRows; r += kRows)
      few_rows(b, b.x + tile * b.x_next + r * kTileInputs, b.y + (tile * kTileRows + r) * b.y_row);
  }
}

void nothing() {}

}  // namespace

const RoundedUnit& rounded_avx512() {
  static constexpr RoundedUnit kUnit{"avx512_bf16", nothing, nothing, block};
  return kUnit;
}

}  // namespace finetune::kernels::cpu
