#include "models/weight_ring.h"

#include <ATen/ATen.h>

namespace finetune {

void WeightRing::begin() {
  for (Place& place : places_) place.layer = -1;
}

int WeightRing::place_of(std::int64_t layer) const {
  for (int place = 0; place < 2; ++place) {
    if (places_[static_cast<std::size_t>(place)].layer == layer) return place;
  }
  return -1;
}

// Behind what the current stream has got: the last layer that stood in this place is among that.
void WeightRing::fill(const PackedBlock& packed, std::int64_t layer, int place, const Buffer& buffer) {
  Place& to = places_[static_cast<std::size_t>(place)];
  for (const Stack stack : kStacks) {
    const PackedStack& matrices = packed_stack(packed, stack);
    std::int64_t rows = 0;
    for (const ops::PackedMatrix& matrix : matrices) rows += matrix.rows;
    packed_stack(to.weights, stack) = buffer(stack, place, rows, matrices.front().columns);
  }
  if (side_ == nullptr) side_ = std::make_shared<const ops::SideStream>(to.weights.front().device());
  for (const at::Tensor& weight : to.weights) side_->keep(weight);  // a pass may end early
  to.layer = layer;
  to.written = side_->run([&] {
    for (const Stack stack : kStacks) dequantize(packed_stack(packed, stack), packed_stack(to.weights, stack));
  });
}

void WeightRing::take(const std::vector<PackedBlock>& layers, std::int64_t layer, std::optional<std::int64_t> next,
                      const Buffer& buffer) {
  const auto packed = [&](std::int64_t i) -> const PackedBlock& { return layers[static_cast<std::size_t>(i)]; };
  if (place_of(layer) < 0) fill(packed(layer), layer, 1 - current_, buffer);
  current_ = place_of(layer);
  Place& place = places_[static_cast<std::size_t>(current_)];
  if (next && place_of(*next) < 0) fill(packed(*next), *next, 1 - current_, buffer);
  if (!place.written) return;
  side_->join(*place.written);
  place.written.reset();
}

}  // namespace finetune
