// Intel's AMX: registers of 16 rows of 64 bytes, of which four hold sums and four operands.
#include <immintrin.h>

#include "kernels/cpu/rounded_unit.h"

namespace finetune::kernels::cpu {
namespace {

struct TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

void begin() {
  static constexpr TileConfig kConfig;
  _tile_loadconfig(&kConfig);
}
void end() {
  _tile_release();
}

void block(const RoundedBlock& b) {
  constexpr std::int64_t kLine = 64;  // bytes of a tile's row
  const std::int64_t y_row = b.y_row * 4;
  float* below = b.y + kTileRows * b.y_row;
  const bool two = b.row_tiles == 2;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  if (b.extend) {
    _tile_loadd(0, b.y, y_row);
    _tile_loadd(1, b.y + kTileRows, y_row);
    if (two) {
      _tile_loadd(2, below, y_row);
      _tile_loadd(3, below + kTileRows, y_row);
    }
  }
  for (std::int64_t step = 0; step < b.steps; ++step) {
    const std::uint16_t *x = b.x + step * kTileSize, *w = b.w + step * kTileSize;
    _tile_loadd(4, x, kLine);
    _tile_loadd(6, w, kLine);
    _tile_loadd(7, w + b.w_next, kLine);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if (two) {
      _tile_loadd(5, x + b.x_next, kLine);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, b.y, y_row);
  _tile_stored(1, b.y + kTileRows, y_row);
  if (two) {
    _tile_stored(2, below, y_row);
    _tile_stored(3, below + kTileRows, y_row);
  }
}

}  // namespace

const RoundedUnit& rounded_amx() {
  static constexpr RoundedUnit kUnit{"amx", begin, end, block};
  return kUnit;
}

}  // namespace finetune::kernels::cpu
