// On a device with streams the numbers of a quantised base stand in a ring of two layers: while the device computes
// with one, those of the layer that comes next are written beside it, on a stream of their own. So dequantising costs
// time only where it takes longer than a layer's products. The processor has no streams and writes the numbers of one
// projection at a time, which stay in its cache (models/blocks/linear.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "kernels/torch/side_stream.h"
#include "models/packed.h"

namespace finetune {

/// Of one lane; the buffers are those of its workspace.
class WeightRing {
 public:
  /// A buffer [rows, columns] for a stack in a place of the ring, the same at every call.
  using Buffer = std::function<at::Tensor(Stack stack, int place, std::int64_t rows, std::int64_t columns)>;

  /// A pass begins: what an earlier one left counts for nothing, so that a captured pass has everything in it.
  void begin();
  /// The numbers of `layer` are there for what the current stream gets from here on, until the next call but one; those
  /// of `next` (none: the pass needs no other) are begun. Layers are those of one base.
  void take(const std::vector<PackedBlock>& layers, std::int64_t layer, std::optional<std::int64_t> next,
            const Buffer& buffer);
  /// Of the layer that was taken last.
  const at::Tensor& weight(Stack stack) const { return packed_stack(places_[current_].weights, stack); }

 private:
  struct Place {
    std::int64_t layer = -1;
    std::array<at::Tensor, kStacks.size()> weights;
    std::optional<c10::Event> written;  // until it is joined
  };
  int place_of(std::int64_t layer) const;
  void fill(const PackedBlock& packed, std::int64_t layer, int place, const Buffer& buffer);

  std::array<Place, 2> places_;
  int current_ = 0;
  std::shared_ptr<const ops::SideStream> side_;
};

}  // namespace finetune
