#include "data/tokenizers/word_cache.h"

#include <functional>
#include <utility>

namespace finetune {
namespace {

std::uint32_t hash_of(std::string_view word) {
  return static_cast<std::uint32_t>(std::hash<std::string_view>()(word));
}

}  // namespace

bool WordCache::holds(const Slot& slot, std::uint32_t hash, std::string_view word) const {
  return slot.hash == hash && std::string_view(words_).substr(slot.word_begin, slot.word_bytes) == word;
}

// The word's place, or the free one where it belongs.
std::size_t WordCache::slot_of(std::uint32_t hash, std::string_view word) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = hash & mask;
  while (slots_[i].word_bytes > 0 && !holds(slots_[i], hash, word)) i = (i + 1) & mask;
  return i;
}

std::optional<std::span<const BpePiece>> WordCache::find(std::string_view word) const {
  const Slot& slot = slots_[slot_of(hash_of(word), word)];
  if (slot.word_bytes == 0) return std::nullopt;
  return std::span(pieces_).subspan(slot.piece_begin, slot.pieces);
}

void WordCache::add(std::string_view word, std::span<const BpePiece> pieces) {
  if (2 * (used_ + 1) > slots_.size()) grow();
  const std::uint32_t hash = hash_of(word);
  Slot& slot = slots_[slot_of(hash, word)];
  if (slot.word_bytes > 0) return;
  slot = {hash, static_cast<std::uint32_t>(words_.size()), static_cast<std::uint32_t>(pieces_.size()),
          static_cast<std::uint8_t>(word.size()), static_cast<std::uint8_t>(pieces.size())};
  words_ += word;
  pieces_.insert(pieces_.end(), pieces.begin(), pieces.end());
  ++used_;
}

void WordCache::grow() {
  const std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(2 * slots_.size()));
  for (const Slot& slot : before) {
    if (slot.word_bytes == 0) continue;
    slots_[slot_of(slot.hash, std::string_view(words_).substr(slot.word_begin, slot.word_bytes))] = slot;
  }
}

}  // namespace finetune
