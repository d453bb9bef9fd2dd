#include "data/tokenizers/sentencepiece_cuts.h"

#include <cstdint>
#include <optional>

namespace finetune {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // ▁

// One field of a message in protocol buffers' wire format: a number or bytes, whichever it has.
struct Field {
  std::uint64_t number = 0, value = 0;
  std::string_view bytes;
};

std::optional<std::uint64_t> take_varint(std::string_view& message) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !message.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(message.front());
    message.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

// The next field, taken off the message; none at its end or where it cannot be read, which leaves it not empty.
std::optional<Field> take_field(std::string_view& message) {
  if (message.empty()) return std::nullopt;
  std::string_view rest = message;
  const auto key = take_varint(rest);
  if (!key) return std::nullopt;
  Field field{.number = *key >> 3};
  std::optional<std::uint64_t> length = 0;
  switch (*key & 7) {
    case 0: {
      const auto value = take_varint(rest);
      if (!value) return std::nullopt;
      field.value = *value;
      break;
    }
    case 1:
      length = 8;
      break;
    case 2:
      length = take_varint(rest);
      break;
    case 5:
      length = 4;
      break;
    default:
      return std::nullopt;
  }
  if (!length || *length > rest.size()) return std::nullopt;
  field.bytes = rest.substr(0, *length);
  message = rest.substr(*length);
  return field;
}

// The field's last value in the message, as protocol buffers have it.
Field last(std::string_view message, std::uint64_t number, std::uint64_t value_if_absent = 0) {
  Field found{.number = number, .value = value_if_absent};
  while (const auto field = take_field(message)) {
    if (field->number == number) found = *field;
  }
  return found;
}

bool space_inside(std::string_view piece) {
  std::size_t begin = 0;  // behind the spaces in front
  while (piece.substr(begin).starts_with(kSpace)) begin += kSpace.size();
  const std::string_view rest = piece.substr(begin);
  return rest.find(kSpace) != std::string_view::npos || piece.find(' ') != std::string_view::npos;
}

bool pieces_allow_cuts(std::string_view model) {
  bool has_space = false;
  while (const auto field = take_field(model)) {
    if (field->number != 1) continue;  // ModelProto.pieces
    const std::string_view piece = last(field->bytes, 1).bytes;
    if (space_inside(piece)) return false;
    has_space = has_space || piece == kSpace;
  }
  return has_space && model.empty();
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

bool cuts_at_spaces(std::string_view model) {
  const std::string_view trainer = last(model, 2).bytes, normalizer = last(model, 3).bytes;
  constexpr std::uint64_t kUnigram = 1, kBpe = 2;
  const bool bpe = last(trainer, 3, kUnigram).value == kBpe;
  const bool suffix = last(trainer, 24).value != 0;              // treat_whitespace_as_suffix
  const bool changes_text = !last(normalizer, 2).bytes.empty();  // precompiled_charsmap
  const bool prefix = last(normalizer, 3, 1).value != 0;         // add_dummy_prefix
  const bool escapes = last(normalizer, 5, 1).value != 0;        // escape_whitespaces
  return bpe && !suffix && !changes_text && prefix && escapes && pieces_allow_cuts(model);
}

std::vector<std::size_t> part_begins(std::string_view text) {
  std::vector<std::size_t> begins{0};
  for (std::size_t at = text.find(' ', 1); at < text.size(); at = text.find(' ', at + 1)) {
    if (at + 1 < text.size() && is_letter_or_digit(text[at - 1]) && is_letter_or_digit(text[at + 1]))
      begins.push_back(at + 1);
  }
  return begins;
}

}  // namespace finetune
