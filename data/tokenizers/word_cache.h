// Words that were encoded before, with their pieces, in a few flat arrays: a lookup touches three places of memory, and
// most words of a text are looked up.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace finetune {

/// A piece of a word: its id and how many bytes of the word it covers.
struct BpePiece {
  std::int32_t id;
  std::uint32_t bytes;
};

/// Open addressing with linear probing, at most half full. Not thread-safe.
class WordCache {
 public:
  /// Longer words and more pieces a word are not for this table. A caller stops at kMost words: those of a text are
  /// remembered, and a corpus cannot fill the memory.
  static constexpr std::size_t kLongest = 64, kMostPieces = 255, kMost = 1 << 18;

  std::size_t size() const { return used_; }
  /// Valid until the next add.
  std::optional<std::span<const BpePiece>> find(std::string_view word) const;
  /// `word`: not empty, at most kLongest bytes. One that is there already is left.
  void add(std::string_view word, std::span<const BpePiece> pieces);

 private:
  struct Slot {
    std::uint32_t hash = 0, word_begin = 0, piece_begin = 0;
    std::uint8_t word_bytes = 0, pieces = 0;  // 0 bytes: free
  };
  bool holds(const Slot& slot, std::uint32_t hash, std::string_view word) const;
  std::size_t slot_of(std::uint32_t hash, std::string_view word) const;
  void grow();

  std::vector<Slot> slots_ = std::vector<Slot>(1024);
  std::size_t used_ = 0;
  std::string words_;
  std::vector<BpePiece> pieces_;
};

}  // namespace finetune
