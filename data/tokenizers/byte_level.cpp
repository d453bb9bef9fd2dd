#include "data/tokenizers/byte_level.h"

#include "data/tokenizers/aligned_text.h"

namespace finetune {
namespace {

bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// Code point -> byte, for the code points of the table (all below U+0144).
const std::array<int, 0x144>& character_bytes() {
  static const auto table = [] {
    std::array<int, 0x144> bytes;
    bytes.fill(-1);
    for (int byte = 0; byte < 256; ++byte)
      bytes[code_point(byte_characters()[static_cast<std::size_t>(byte)], 0)] = byte;
    return bytes;
  }();
  return table;
}

}  // namespace

const std::array<std::string, 256>& byte_characters() {
  static const auto table = [] {
    std::array<std::string, 256> characters;
    std::uint32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      characters[static_cast<std::size_t>(byte)] =
          to_utf8(stands_for_itself(byte) ? static_cast<std::uint32_t>(byte) : next++);
    }
    return characters;
  }();
  return table;
}

std::optional<std::string> bytes_of_token(std::string_view token) {
  std::string bytes;
  for (std::size_t i = 0; i < token.size(); i += utf8_length(token[i])) {
    const std::uint32_t c = code_point(token, i);
    if (c >= character_bytes().size() || character_bytes()[c] < 0) return std::nullopt;
    bytes += static_cast<char>(character_bytes()[c]);
  }
  return bytes;
}

std::string utf8_lossy(std::string_view bytes) {
  std::string text;
  const auto at = [&](std::size_t i) { return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0; };
  for (std::size_t i = 0; i < bytes.size();) {
    const unsigned char c = at(i);
    std::size_t need = c < 0x80                 ? 0
                       : c >= 0xC2 && c <= 0xDF ? 1
                       : c >= 0xE0 && c <= 0xEF ? 2
                       : c >= 0xF0 && c <= 0xF4 ? 3
                                                : 9;
    // The second byte's range excludes overlong forms, surrogates and values above U+10FFFF.
    const unsigned char low = c == 0xE0   ? 0xA0
                              : c == 0xF0 ? 0x90
                                          : 0x80,
                        high = c == 0xED   ? 0x9F
                               : c == 0xF4 ? 0x8F
                                           : 0xBF;
    std::size_t good = 1;
    if (need != 9) {
      while (good <= need && i + good < bytes.size() && at(i + good) >= (good == 1 ? low : 0x80) &&
             at(i + good) <= (good == 1 ? high : 0xBF))
        ++good;
    }
    if (need != 9 && good == need + 1)
      text.append(bytes, i, good);
    else
      text += "\xEF\xBF\xBD";
    i += good;
  }
  return text;
}

}  // namespace finetune
