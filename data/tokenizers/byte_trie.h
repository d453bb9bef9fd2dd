// A set of byte strings as a tree in one flat array: a step from a node by a byte reads one place of memory.
// Double array, Aoe, "An Efficient Digital Search Algorithm by Using a Double-Array Structure", 1989.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace finetune {

class ByteTrie {
 public:
  using Node = std::uint32_t;
  static constexpr Node kRoot = 0, kNone = 0xFFFFFFFF;

  ByteTrie() = default;
  /// In any order; equal ones count once, empty ones not at all.
  explicit ByteTrie(std::vector<std::string_view> strings);
  bool empty() const { return units_.empty(); }

  /// The child of `node` by `byte`, or kNone. Not for an empty tree.
  Node step(Node node, unsigned char byte) const {
    const Node child = units_[node].base + byte;
    return units_[child].parent == node ? child : kNone;
  }
  bool ends_string(Node node) const { return units_[node].ends_string; }

 private:
  struct Unit {
    std::uint32_t base = 0;  ///< of the children: the one by byte c is at base + c, when its parent says so
    Node parent : 31 = kFree;
    bool ends_string : 1 = false;
  };
  static constexpr Node kFree = 0x7FFFFFFF;
  std::uint32_t free_base(const std::vector<unsigned char>& bytes);

  std::vector<Unit> units_;
  std::uint32_t highest_base_ = 1;  // while building
};

}  // namespace finetune
