// Where a long word can be cut without changing its byte-pair encoding. A merge makes a token, so a place that no token
// of the vocabulary lies across is one that no merge crosses, whatever the ranks. Without a pre-tokenizer a word is a
// whole text: cut into parts of a few bytes, most of it is found among the words that were encoded before.
#pragma once

#include <string_view>
#include <vector>

#include "data/tokenizers/byte_trie.h"

namespace finetune {

class SafeCuts {
 public:
  SafeCuts() = default;
  /// Of the whole vocabulary, UTF-8.
  explicit SafeCuts(std::vector<std::string_view> tokens) : tokens_(std::move(tokens)) {}
  bool empty() const { return tokens_.empty(); }
  /// Ends of the parts, in bytes and in order; the last is word.size(). Characters that are no token of their own stay
  /// with both neighbours, since what stands for them may join with what stands for those.
  std::vector<std::size_t> part_ends(std::string_view word) const;

 private:
  struct Found {
    std::size_t longest;  ///< bytes of the longest token that begins here, 0 without one
    bool character;       ///< the first character is a token
  };
  Found tokens_at(std::string_view word, std::size_t position, std::size_t character) const;

  ByteTrie tokens_;
};

}  // namespace finetune
