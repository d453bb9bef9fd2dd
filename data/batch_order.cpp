#include "data/batch_order.h"

#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace finetune {
namespace {

constexpr int kEpochBits =
    40;  // of a permutation's key; the part stands above, so that part 0 has the keys of data alone

}  // namespace

BatchOrder::BatchOrder(std::int64_t examples, std::int64_t batch_size, bool shuffle, std::uint64_t seed)
    : BatchOrder({examples}, {1.0}, batch_size, shuffle, seed) {}

BatchOrder::BatchOrder(const std::vector<std::int64_t>& sizes, const std::vector<double>& shares,
                       std::int64_t batch_size, bool shuffle, std::uint64_t seed)
    : batch_size_(batch_size), shuffle_(shuffle), seed_(seed) {
  const std::int64_t examples = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  if (examples > std::int64_t{1} << 32)
    throw bad_input("", "more than 4,294,967,296 examples: no order is made of so many");
  if (sizes.size() != shares.size()) {
    parts_.push_back({.size = examples});
    return;
  }
  std::int64_t first = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    parts_.push_back({.first = first, .size = sizes[i], .share = shares[i]});
    first += sizes[i];
  }
}

std::vector<std::int64_t> BatchOrder::batch(std::int64_t step) {
  seek((step - 1) * batch_size_);
  std::vector<std::int64_t> indices;
  for (std::int64_t k = 0; k < batch_size_; ++k) indices.push_back(draw(next_part()));
  return indices;
}

// Draws of several parts are counted from the beginning; nanoseconds each.
void BatchOrder::seek(std::int64_t position) {
  if (parts_.size() == 1) {
    position_ = parts_.front().drawn = position;
    return;
  }
  if (position < position_) {
    position_ = 0;
    for (Part& part : parts_) part.drawn = 0;
  }
  while (position_ < position) ++next_part().drawn;
}

// The part that lacks most of its share of the draws up to and with this one; of equals the first.
BatchOrder::Part& BatchOrder::next_part() {
  ++position_;
  Part* behind = &parts_.front();
  double most = -1e300;
  for (Part& part : parts_) {
    const double lacks = part.share * static_cast<double>(position_) - static_cast<double>(part.drawn);
    if (lacks <= most) continue;
    most = lacks;
    behind = &part;
  }
  return *behind;
}

std::int64_t BatchOrder::draw(Part& part) {
  const std::int64_t epoch = part.drawn / part.size, place = part.drawn % part.size;
  ++part.drawn;
  if (!shuffle_) return part.first + place;
  if (epoch != part.cached_epoch) {
    const auto number = static_cast<std::uint64_t>(&part - parts_.data());
    const std::uint64_t key = number << kEpochBits | static_cast<std::uint64_t>(epoch);
    const std::vector<std::int64_t> order = permutation(part.size, Random(seed_, Purpose::order, key));
    part.cached.assign(order.begin(), order.end());
    part.cached_epoch = epoch;
  }
  return part.first + part.cached[static_cast<std::size_t>(place)];
}

}  // namespace finetune
