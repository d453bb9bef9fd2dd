#include "data/tokenizers/byte_trie.h"

#include <algorithm>
#include <deque>

namespace finetune {
namespace {

// Strings [begin, end) of the sorted list pass through the node, `depth` bytes from the root.
struct Branch {
  ByteTrie::Node node;
  std::size_t begin, end, depth;
};

}  // namespace

ByteTrie::ByteTrie(std::vector<std::string_view> strings) {
  std::erase_if(strings, [](std::string_view s) { return s.empty(); });
  if (strings.empty()) return;
  std::sort(strings.begin(), strings.end());
  units_.resize(512);
  units_[kRoot].parent = kRoot;
  std::deque<Branch> todo{{kRoot, 0, strings.size(), 0}};
  for (; !todo.empty(); todo.pop_front()) {
    Branch at = todo.front();
    // The string that ends here is sorted before those that go on.
    for (; at.begin < at.end && strings[at.begin].size() == at.depth; ++at.begin) units_[at.node].ends_string = true;
    std::vector<unsigned char> bytes;
    std::vector<std::size_t> begins;
    for (std::size_t i = at.begin; i < at.end; ++i) {
      const auto byte = static_cast<unsigned char>(strings[i][at.depth]);
      if (!bytes.empty() && bytes.back() == byte) continue;
      bytes.push_back(byte);
      begins.push_back(i);
    }
    begins.push_back(at.end);
    const std::uint32_t base = free_base(bytes);
    units_[at.node].base = base;
    for (std::size_t k = 0; k < bytes.size(); ++k) {
      units_[base + bytes[k]].parent = at.node;
      todo.push_back({base + bytes[k], begins[k], begins[k + 1], at.depth + 1});
    }
  }
}

// The lowest base from which the bytes lead to free units, looking back a little only: where the array is nearly full,
// a search from its start would be long and in vain. Every base leaves room for all 256, so that a step never looks
// beyond the array.
std::uint32_t ByteTrie::free_base(const std::vector<unsigned char>& bytes) {
  constexpr std::uint32_t kLookBack = 1024;
  if (bytes.empty()) return 0;
  std::uint32_t base = highest_base_ > kLookBack ? highest_base_ - kLookBack : 1;
  for (;; ++base) {
    if (base + 256 > units_.size()) units_.resize(2 * units_.size());
    const auto is_free = [&](unsigned char byte) { return units_[base + byte].parent == kFree; };
    if (std::all_of(bytes.begin(), bytes.end(), is_free)) break;
  }
  highest_base_ = std::max(highest_base_, base);
  return base;
}

}  // namespace finetune
