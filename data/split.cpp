#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "data/dataset.h"

namespace finetune {
namespace {

constexpr double kMostHeldOut = 2000;

// Places of the examples with the lowest hashes, ascending. A heap of the lowest so far: there may be many examples.
std::vector<std::uint32_t> lowest_hashes(const Examples& examples, std::size_t count) {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> lowest;
  for (auto example = examples.begin(); example != examples.end(); ++example) {
    const std::pair one(example.hash(), static_cast<std::uint32_t>(example.index()));
    if (lowest.size() == count && lowest.front() < one) continue;
    if (lowest.size() == count) {
      std::ranges::pop_heap(lowest);
      lowest.pop_back();
    }
    lowest.push_back(one);
    std::ranges::push_heap(lowest);
  }
  std::vector<std::uint32_t> places;
  for (const auto& [hash, place] : lowest) places.push_back(place);
  std::ranges::sort(places);
  return places;
}

}  // namespace

Examples split_by_hash(Examples& examples, double fraction) {
  if (examples.size() < 2) return {};
  const auto size = static_cast<double>(examples.size());
  const auto count = static_cast<std::size_t>(std::clamp(fraction * size, 1.0, std::min(kMostHeldOut, size - 1)));
  std::vector<std::uint32_t> held = lowest_hashes(examples, count), rest;
  rest.reserve(examples.size() - count);
  auto next = held.begin();
  for (std::size_t i = 0; i < examples.size(); ++i) {
    if (next != held.end() && *next == i)
      ++next;
    else
      rest.push_back(static_cast<std::uint32_t>(i));
  }
  Examples valid = examples.choose(std::move(held));
  examples = examples.choose(std::move(rest));
  return valid;
}

}  // namespace finetune
