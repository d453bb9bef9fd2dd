// The pre_tokenizer part of tokenizer.json: cuts normalised text into words.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/tokenizers/aligned_text.h"

namespace finetune {

/// A text and where it is cut: words in order, as bytes [begin, end) of the text.
struct Words {
  AlignedText text;
  std::vector<std::pair<std::size_t, std::size_t>> ranges;

  std::string_view word(std::size_t begin, std::size_t end) const {
    return std::string_view(text.text()).substr(begin, end - begin);
  }
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Replaces each word by the words it is cut into.
  virtual void apply(Words& words) const = 0;
};

/// Types: Sequence, Split, ByteLevel, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit. Null gives nullptr.
/// `byte_level` is set when ByteLevel is among them: words are then raw bytes and the vocabulary is read as byte
/// characters, instead of mapping every text. Throws Error (bad_input) naming the type for others.
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const std::string& where, const nlohmann::ordered_json& json,
                                                 bool& byte_level);

}  // namespace finetune
