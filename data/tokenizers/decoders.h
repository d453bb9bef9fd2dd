// The decoder part of tokenizer.json: token texts back to text.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace finetune {

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void apply(std::vector<std::string>& tokens) const = 0;
};

/// Types: Sequence, ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace. Null gives nullptr (tokens are joined by
/// spaces then, as the reference library does). Throws Error (bad_input) naming the type for others.
std::unique_ptr<Decoder> make_decoder(const std::string& where, const nlohmann::ordered_json& json);

}  // namespace finetune
