#include "core/content_hash.h"

#include <xxhash.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <new>
#include <vector>

#include "core/error.h"

namespace finetune {

void ContentHash::Free::operator()(XXH3_state_s* state) const {
  XXH3_freeState(state);
}

ContentHash::ContentHash() : state_(XXH3_createState()) {
  if (!state_) throw std::bad_alloc();
  XXH3_128bits_reset(state_.get());
}

void ContentHash::add(std::string_view bytes) {
  XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

std::string ContentHash::text() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : canonical.digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string content_hash(std::string_view bytes) {
  ContentHash hash;
  hash.add(bytes);
  return hash.text();
}

ContentHash hash_of_beginning(const std::filesystem::path& path, std::uint64_t bytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw bad_input(path.string(), "cannot be opened");
  ContentHash hash;
  std::vector<char> piece(std::size_t{1} << 20);
  while (file && bytes > 0) {
    file.read(piece.data(), static_cast<std::streamsize>(std::min<std::uint64_t>(bytes, piece.size())));
    const auto read = static_cast<std::size_t>(file.gcount());
    hash.add({piece.data(), read});
    bytes -= read;
  }
  if (file.bad()) throw bad_input(path.string(), "cannot be read");
  return hash;
}

std::string file_hash(const std::filesystem::path& path) {
  return hash_of_beginning(path, std::numeric_limits<std::uint64_t>::max()).text();
}

}  // namespace finetune
