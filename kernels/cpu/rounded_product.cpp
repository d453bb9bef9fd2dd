#include "kernels/api/rounded_product.h"

#include <algorithm>
#include <memory>
#include <new>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rounded_product.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {
namespace {

// A walk's sizes: 32 rows times a slice of the inputs stay in the first-level cache, panels of weights times the slice
// in the second-level cache while many rows go by. Whatever they are, an element is the same chain.
constexpr std::int64_t kPanelOutputs = 2 * kTileRows;  // outputs
constexpr std::int64_t kSliceSteps = 18;               // at most, 576 inputs
constexpr std::int64_t kPanelsAtOnce = 16;
constexpr std::int64_t kPackedPanel = 2 * kSliceSteps * kTileSize;
constexpr std::int64_t kRowsAtOnce = 2048;  // for which panels are packed again
constexpr std::int64_t kBlockRows = 2 * kTileRows;

std::int64_t divided_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Lines of a tile are lines of the cache: across two of them AMX loads at a third of the rate.
constexpr auto kLine = std::align_val_t{64};
struct Free {
  void operator()(std::uint16_t* elements) const { ::operator delete[](elements, kLine); }
};
using Elements = std::unique_ptr<std::uint16_t[], Free>;
Elements elements(std::int64_t count) {
  return Elements(new (kLine) std::uint16_t[static_cast<std::size_t>(count)]);
}

class Walk {
 public:
  Walk(const RoundedProduct& p, const RoundedUnit& unit)
      : p_(p),
        unit_(unit),
        steps_(std::max<std::int64_t>(1, divided_up(p.inputs, kTileInputs))),
        row_tiles_(divided_up(p.rows, kTileRows)),
        panels_(divided_up(p.outputs, kPanelOutputs)),
        x_(elements(row_tiles_ * steps_ * kTileSize)) {}

  void run(Stream stream) const {
    in_parallel(stream, row_tiles_, kTileRows * p_.inputs, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t tile = first; tile < last; ++tile) pack_x(tile);
    });
    const std::int64_t chunks = divided_up(p_.rows, kRowsAtOnce);
    const std::int64_t operations = kPanelOutputs * p_.inputs * (kBlockRows + std::min(p_.rows, kRowsAtOnce)) / 16;
    in_parallel(stream, chunks * panels_, operations, [&](std::int64_t first, std::int64_t last) {
      const Elements w = elements(std::min(kPanelsAtOnce, last - first) * kPackedPanel);
      unit_.begin();
      while (first < last) {
        const std::int64_t chunk = first / panels_, panel = first % panels_;
        const std::int64_t count = std::min({panels_ - panel, last - first, kPanelsAtOnce});
        multiply(chunk * kRowsAtOnce, std::min(p_.rows, (chunk + 1) * kRowsAtOnce), panel, count, w.get());
        first += count;
      }
      unit_.end();
    });
  }

 private:
  void pack_x(std::int64_t tile) const {
    const std::int64_t row = tile * kTileRows;
    for (std::int64_t step = 0; step < steps_; ++step) {
      const std::int64_t input = step * kTileInputs;
      table().pack_rows(p_.x + row * p_.x_row + input, p_.x_row, std::min(kTileRows, p_.rows - row),
                        std::min(kTileInputs, p_.inputs - input), x_.get() + (tile * steps_ + step) * kTileSize);
    }
  }

  // 16 outputs, which may lie beyond the last, times a step.
  void pack_w(std::int64_t output, std::int64_t step, std::uint16_t* to) const {
    const std::int64_t input = step * kTileInputs;
    const std::int64_t outputs = std::clamp<std::int64_t>(p_.outputs - output, 0, kTileRows);
    const std::int64_t inputs = std::min(kTileInputs, p_.inputs - input);
    if (p_.by_inputs)
      table().pack_by_inputs(p_.w + input * p_.w_row + output, p_.w_row, outputs, inputs, to);
    else
      table().pack_by_outputs(p_.w + output * p_.w_row + input, p_.w_row, outputs, inputs, to);
  }

  void multiply(std::int64_t row, std::int64_t last_row, std::int64_t panel, std::int64_t panels,
                std::uint16_t* w) const {
    const std::int64_t slices = divided_up(steps_, kSliceSteps), even = divided_up(steps_, slices);
    for (std::int64_t step = 0; step < steps_; step += even) {
      const std::int64_t count = std::min(even, steps_ - step);
      for (std::int64_t half = 0; half < 2 * panels; ++half) {
        for (std::int64_t s = 0; s < count; ++s)
          pack_w(panel * kPanelOutputs + half * kTileRows, step + s, w + (half * count + s) * kTileSize);
      }
      RoundedBlock b{.x_next = steps_ * kTileSize,
                     .w_next = count * kTileSize,
                     .steps = count,
                     .extend = p_.accumulate || step > 0};
      for (std::int64_t r = row; r < last_row; r += kBlockRows) {
        b.x = x_.get() + (r / kTileRows * steps_ + step) * kTileSize;
        b.row_tiles = last_row - r > kTileRows ? 2 : 1;
        for (std::int64_t i = 0; i < panels; ++i) {
          b.w = w + 2 * i * count * kTileSize;
          block(r, std::min(kBlockRows, last_row - r), (panel + i) * kPanelOutputs, b);
        }
      }
    }
  }

  // What is beyond the last row or output goes by way of a square of its own. One record serves all blocks: a copy of
  // it would be read back in other widths than it was written in, which waits for every store before it.
  void block(std::int64_t row, std::int64_t rows, std::int64_t output, RoundedBlock& b) const {
    float* y = p_.y + row * p_.y_row + output;
    if (rows == b.row_tiles * kTileRows && output + kPanelOutputs <= p_.outputs) {
      b.y = y;
      b.y_row = p_.y_row;
      unit_.block(b);
    } else {
      edge(y, rows, std::min(kPanelOutputs, p_.outputs - output), b);
    }
  }

  void edge(float* y, std::int64_t rows, std::int64_t outputs, RoundedBlock& b) const {
    alignas(64) float square[kBlockRows * kPanelOutputs] = {};
    for (std::int64_t r = 0; r < rows && b.extend; ++r)
      std::copy_n(y + r * p_.y_row, outputs, square + r * kPanelOutputs);
    b.y = square;
    b.y_row = kPanelOutputs;
    unit_.block(b);
    for (std::int64_t r = 0; r < rows; ++r) std::copy_n(square + r * kPanelOutputs, outputs, y + r * p_.y_row);
  }

  const RoundedProduct& p_;
  const RoundedUnit& unit_;
  std::int64_t steps_, row_tiles_, panels_;
  Elements x_;
};

}  // namespace

Status rounded_product_with(const RoundedUnit& unit, const RoundedProduct& p, Stream stream) {
  if (p.rows == 0 || p.outputs == 0) return {};
  Walk(p, unit).run(stream);
  return {};
}

Status rounded_product(const RoundedProduct& p, Stream stream) {
  return rounded_product_with(*rounded_units().front(), p, stream);
}

}  // namespace finetune::kernels::cpu
