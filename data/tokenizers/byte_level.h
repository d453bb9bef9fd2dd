// GPT-2's table between bytes and printable characters.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace finetune {

/// The character (UTF-8) that stands for each byte: printable Latin-1 for itself, the other 68 from U+0100 upward.
const std::array<std::string, 256>& byte_characters();

/// Bytes of a token written in those characters; nothing when it holds any other character.
std::optional<std::string> bytes_of_token(std::string_view token);

/// Invalid sequences become U+FFFD, one for each maximal part (Rust's String::from_utf8_lossy, WHATWG's rule).
std::string utf8_lossy(std::string_view bytes);

}  // namespace finetune
