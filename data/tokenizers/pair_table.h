// From a pair of numbers to a number, in one flat array: the innermost lookup of byte-pair encoding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace finetune {

/// Open addressing with linear probing, at most half full. Keys and values are not negative.
class PairTable {
 public:
  /// The pair's value, or -1.
  std::int32_t find(std::int32_t a, std::int32_t b) const {
    for (std::size_t i = home(a, b);; i = (i + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[i];
      if (slot.value < 0 || (slot.a == a && slot.b == b)) return slot.value;
    }
  }
  /// Puts the pair in, or replaces its value.
  void set(std::int32_t a, std::int32_t b, std::int32_t value);

 private:
  struct Slot {
    std::int32_t a = 0, b = 0, value = -1;
  };
  std::size_t home(std::int32_t a, std::int32_t b) const {
    const auto key = static_cast<std::uint64_t>(static_cast<std::uint32_t>(a)) << 32 | static_cast<std::uint32_t>(b);
    const std::uint64_t mixed = key * 0x9E3779B97F4A7C15;  // Fibonacci hashing: the high bits are the good ones
    return static_cast<std::size_t>((mixed ^ mixed >> 32) & (slots_.size() - 1));
  }
  std::vector<Slot> slots_ = std::vector<Slot>(16);
  std::size_t used_ = 0;
};

}  // namespace finetune
