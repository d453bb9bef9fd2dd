// Text that remembers where it came from: every byte carries the span of the original text it stands for. Normalizers
// change the text and keep the spans.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace finetune {

using Span = std::pair<std::uint32_t, std::uint32_t>;  ///< [begin, end) in bytes of the original

class AlignedText {
 public:
  AlignedText() = default;
  /// Original text; each byte of a character gets the character's span, shifted by `offset`.
  AlignedText(std::string_view text, std::uint32_t offset);

  const std::string& text() const { return text_; }
  std::size_t size() const { return text_.size(); }
  bool empty() const { return text_.empty(); }

  /// Appends text that stands for `span`.
  void append(std::string_view text, Span span);
  /// Appends bytes [begin, end) of another text with their spans.
  void append(const AlignedText& other, std::size_t begin, std::size_t end);
  AlignedText slice(std::size_t begin, std::size_t end) const;
  /// Put in front; it stands for the first character, as in the reference library.
  void prepend(std::string_view text);

  Span span_at(std::size_t byte) const { return spans_[byte]; }
  /// What bytes [begin, end) stand for together.
  Span span(std::size_t begin, std::size_t end) const;

 private:
  std::string text_;
  std::vector<Span> spans_;
};

/// Length in bytes of the UTF-8 character that begins with `first`.
inline std::size_t utf8_length(char first) {
  const auto c = static_cast<unsigned char>(first);
  return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/// Code point of the (valid) character at `position`.
std::uint32_t code_point(std::string_view text, std::size_t position);
std::string to_utf8(std::uint32_t code_point);

}  // namespace finetune
