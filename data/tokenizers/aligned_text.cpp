#include "data/tokenizers/aligned_text.h"

#include <algorithm>

namespace finetune {

AlignedText::AlignedText(std::string_view text, std::uint32_t offset) : text_(text) {
  spans_.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = std::min(utf8_length(text[i]), text.size() - i);
    const auto begin = static_cast<std::uint32_t>(i) + offset;
    for (std::size_t k = 0; k < length; ++k) spans_.emplace_back(begin, begin + static_cast<std::uint32_t>(length));
    i += length;
  }
}

void AlignedText::append(std::string_view text, Span span) {
  text_ += text;
  spans_.insert(spans_.end(), text.size(), span);
}

void AlignedText::append(const AlignedText& other, std::size_t begin, std::size_t end) {
  text_.append(other.text_, begin, end - begin);
  spans_.insert(spans_.end(), other.spans_.begin() + static_cast<std::ptrdiff_t>(begin),
                other.spans_.begin() + static_cast<std::ptrdiff_t>(end));
}

AlignedText AlignedText::slice(std::size_t begin, std::size_t end) const {
  AlignedText part;
  part.append(*this, begin, end);
  return part;
}

void AlignedText::prepend(std::string_view text) {
  if (empty()) return;
  text_.insert(0, text);
  spans_.insert(spans_.begin(), text.size(), spans_.front());
}

Span AlignedText::span(std::size_t begin, std::size_t end) const {
  if (begin >= end) return {0, 0};
  return {spans_[begin].first, spans_[end - 1].second};
}

std::uint32_t code_point(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t k) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i + k])); };
  switch (utf8_length(text[i])) {
    case 1:
      return byte(0);
    case 2:
      return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
    case 3:
      return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    default:
      return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
  }
}

std::string to_utf8(std::uint32_t c) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
}

}  // namespace finetune
