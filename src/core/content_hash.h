// A fingerprint of content: 128 bits that tell damaged, truncated and exchanged files apart from those that were
// written. No defence against somebody who forges them. XXH3 (https://github.com/Cyan4973/xxHash), through libxxhash.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct XXH3_state_s;

namespace finetune {

/// Takes bytes piece by piece.
class ContentHash {
 public:
  ContentHash();
  void add(std::string_view bytes);
  /// Of everything so far: 32 hexadecimal digits.
  std::string text() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

std::string content_hash(std::string_view bytes);

/// Of the first `bytes` of a file, or of all of one that has fewer, read piece by piece. Throws Error (bad_input)
/// naming a path that cannot be read.
ContentHash hash_of_beginning(const std::filesystem::path& path, std::uint64_t bytes);

/// Of a whole file. Throws Error (bad_input) naming a path that cannot be read.
std::string file_hash(const std::filesystem::path& path);

}  // namespace finetune
