// The normalizer part of tokenizer.json.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "data/tokenizers/aligned_text.h"

namespace finetune {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(AlignedText& text) const = 0;
};

/// Types: Sequence, Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents. Null gives nullptr. Throws
/// Error (bad_input) naming the type for others.
std::unique_ptr<Normalizer> make_normalizer(const std::string& where, const nlohmann::ordered_json& json);

}  // namespace finetune
