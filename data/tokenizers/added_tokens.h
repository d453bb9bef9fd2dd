// Added and special tokens: cut out of the text before anything else sees it, as the tokenizers library does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace finetune {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool single_word = false, lstrip = false, rstrip = false, normalized = false, special = false;
};

/// A stretch of text: a token (id >= 0) or ordinary text.
struct TextPart {
  std::size_t begin, end;
  std::int32_t id;
};

/// Finds added tokens in text: leftmost, longest, with their rules on neighbours.
class AddedTokenMatcher {
 public:
  /// `contents`: what is searched for, where it differs from the tokens' own content (normalised ones).
  void add(const AddedToken& token, const std::string& content);
  bool empty() const { return tokens_.empty(); }
  /// The whole of `text` as parts in order.
  std::vector<TextPart> split(std::string_view text) const;

 private:
  struct Entry {
    AddedToken token;
    std::string content;
  };
  const Entry* longest_at(std::string_view text, std::size_t position) const;
  std::vector<Entry> tokens_;
  std::vector<std::vector<std::size_t>> by_first_byte_ = std::vector<std::vector<std::size_t>>(256);  // longest first
};

}  // namespace finetune
