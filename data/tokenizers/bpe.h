// Byte-pair encoding as the tokenizers library's BPE model does it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/tokenizers/pair_table.h"
#include "data/tokenizers/safe_cuts.h"
#include "data/tokenizers/word_cache.h"

namespace finetune {

struct BpeOptions {
  std::optional<std::string> unk_token;
  bool fuse_unk = false, byte_fallback = false, ignore_merges = false;
  std::string continuing_prefix, end_of_word_suffix;
  bool byte_level = false;  ///< vocabulary is written in byte characters; words are raw bytes
};

class Bpe {
 public:
  /// `vocabulary`: token and id; `merges` in order of rank. Throws Error (bad_input) with `where` for a merge of
  /// unknown tokens.
  Bpe(const std::string& where, std::vector<std::pair<std::string, std::int32_t>> vocabulary,
      const std::vector<std::pair<std::string, std::string>>& merges, BpeOptions options);

  /// Appends the pieces of one word. Thread-safe; short words, and the parts that long ones are cut into, are
  /// remembered.
  void encode(std::string_view word, std::vector<BpePiece>& pieces) const;

  std::optional<std::int32_t> id_of(std::string_view token) const;  ///< token as stored
  const std::string* token_of(std::int32_t id) const;               ///< as stored
  std::int32_t highest_id() const { return highest_id_; }

 private:
  struct Symbol;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  template <typename T>
  using ByText = std::unordered_map<std::string, T, Hash, std::equal_to<>>;

  struct Merge {
    std::int32_t left, right, joined;
  };

  void read_merges(const std::string& where, const std::vector<std::pair<std::string, std::string>>& merges);
  void find_cuts();
  void encode_part(std::string_view part, std::vector<BpePiece>& pieces) const;
  std::vector<Symbol> split(std::string_view word) const;
  void add_unknown(std::string_view character, std::vector<Symbol>& symbols) const;
  void merge_all(std::vector<Symbol>& symbols) const;
  void encode_uncached(std::string_view word, std::vector<BpePiece>& pieces) const;

  BpeOptions options_;
  ByText<std::int32_t> ids_;         // words as bytes
  ByText<std::int32_t> stored_ids_;  // tokens as stored
  std::unordered_map<std::int32_t, std::string> tokens_;
  std::vector<Merge> merges_;   // by rank
  PairTable ranks_;             // (left, right) -> rank
  SafeCuts cuts_;               // empty where long words must not be cut
  std::int32_t byte_ids_[256];  // of <0xXX>, or -1
  std::int32_t unk_id_ = -1, highest_id_ = -1;
  mutable std::shared_mutex cache_mutex_;
  mutable WordCache cache_;
};

}  // namespace finetune
