// Captured passes by shape, those used last, and how often one was captured: the number that shows that nothing a tuner
// does needs a new capture. Torch-free; what is captured, and how, is the caller's.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace finetune {

/// What a captured pass is fixed to. Which trials are in it, their slots, ranks, scales, rates and seeds are not part
/// of it: they are read from device memory.
template <typename Shape>
struct CaptureKey {
  Shape shape;
  std::int64_t model = 0;  ///< which weights and gradients: 0 for the shared base, the slot in full fine-tuning
  auto operator<=>(const CaptureKey&) const = default;
};

/// A captured pass takes memory of the device, whatever it computes: some thousand nodes. As many as this are kept.
inline constexpr std::size_t kMostGraphs = 32;

template <typename Key, typename Captured>
class GraphCache {
 public:
  /// The captured pass of this key; make() -> std::unique_ptr<Captured> captures it when there is none.
  template <typename Make>
  Captured& get(const Key& key, const Make& make) {
    auto found = passes_.find(key);
    if (found == passes_.end()) {
      if (passes_.size() >= kMostGraphs) passes_.erase(unused_longest());
      found = passes_.emplace(key, Kept{make(), 0}).first;
      ++captures_;
    }
    found->second.used = ++uses_;
    return *found->second.pass;
  }
  /// Drops all: the memory that they work on has moved.
  void clear() { passes_.clear(); }
  std::int64_t captures() const { return captures_; }
  std::size_t size() const { return passes_.size(); }

 private:
  struct Kept {
    std::unique_ptr<Captured> pass;
    std::int64_t used = 0;
  };
  auto unused_longest() {
    return std::ranges::min_element(passes_, {}, [](const auto& entry) { return entry.second.used; });
  }

  std::map<Key, Kept> passes_;
  std::int64_t captures_ = 0, uses_ = 0;
};

}  // namespace finetune
