// Ids of a plain text as an example: what the tokenizer makes of it, with BOS once in front and EOS at most once at the
// end, whoever wrote them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "data/chat.h"
#include "data/tokenizers/tokenizer.h"

namespace finetune {

class ExampleEncoder {
 public:
  /// `tokenizer` must outlive this. BOS and EOS are those of the checkpoint, else what the tokenizer puts around a
  /// text.
  explicit ExampleEncoder(const Tokenizer& tokenizer);

  /// The special tokens that the tokenizer adds included. A text that begins with the BOS text has exactly one BOS, and
  /// one that ends with the EOS text exactly one EOS, also where the tokenizer itself reads those texts as letters
  /// (sentencepiece without added tokens). A mark that the text wrote keeps its span and does not count as added.
  Encoding encode(std::string_view text) const;
  /// The same for what a format rendered; of a conversation the template has written the marks itself, or the tokenizer
  /// puts its own around the text.
  Encoding encode(const Rendered& rendered) const;

 private:
  struct Mark {
    std::int32_t id;
    std::string text;
    bool matched;  ///< the tokenizer makes one token of the text
  };
  std::optional<Mark> mark_of(std::int32_t id) const;
  void begin_once(Encoding& encoding) const;
  void end_once(Encoding& encoding) const;

  const Tokenizer& tokenizer_;
  std::optional<Mark> bos_, eos_;
  std::size_t before_ = 0, after_ = 0;  // tokens that the tokenizer puts around a text
};

}  // namespace finetune
