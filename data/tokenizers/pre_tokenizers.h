// The pre_tokenizer part of tokenizer.json: cuts normalised text into words.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/tokenizers/aligned_text.h"

namespace finetune {

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Replaces each word by the words it is cut into.
  virtual void apply(std::vector<AlignedText>& words) const = 0;
};

/// Types: Sequence, Split, ByteLevel, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit. Null gives nullptr.
/// `byte_level` is set when ByteLevel is among them: words are then raw bytes and the vocabulary is read as byte
/// characters, instead of mapping every text. Throws Error (bad_input) naming the type for others.
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const std::string& where, const nlohmann::ordered_json& json,
                                                 bool& byte_level);

}  // namespace finetune
