#include "data/tokenizers/added_tokens.h"

#include <utf8proc.h>

#include <algorithm>

#include "data/tokenizers/aligned_text.h"

namespace finetune {
namespace {

std::size_t last_character(std::string_view text) {
  std::size_t i = text.size() - 1;
  while (i > 0 && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) --i;
  return i;
}

// \w: letters, marks, decimal digits, connector punctuation.
bool is_word(std::uint32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

bool is_space(std::uint32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP ||
         (c >= 9 && c <= 13) || c == 0x85;
}

std::size_t without_spaces_at_end(std::string_view text) {
  while (!text.empty() && is_space(code_point(text, last_character(text)))) text = text.substr(0, last_character(text));
  return text.size();
}

std::size_t spaces_at_start(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size() && is_space(code_point(text, i))) i += utf8_length(text[i]);
  return i;
}

}  // namespace

void AddedTokenMatcher::add(const AddedToken& token, const std::string& content) {
  if (content.empty()) return;
  auto& bucket = by_first_byte_[static_cast<unsigned char>(content.front())];
  bucket.push_back(tokens_.size());
  tokens_.push_back({token, content});
  std::stable_sort(bucket.begin(), bucket.end(),
                   [&](std::size_t a, std::size_t b) { return tokens_[a].content.size() > tokens_[b].content.size(); });
}

const AddedTokenMatcher::Entry* AddedTokenMatcher::longest_at(std::string_view text, std::size_t position) const {
  for (const std::size_t index : by_first_byte_[static_cast<unsigned char>(text[position])]) {
    if (text.substr(position).starts_with(tokens_[index].content)) return &tokens_[index];
  }
  return nullptr;
}

std::vector<TextPart> AddedTokenMatcher::split(std::string_view text) const {
  std::vector<TextPart> parts;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Entry* entry = longest_at(text, at);
    if (entry == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at, end = at + entry->content.size();
    at = end;
    if (entry->token.single_word) {
      const bool left = begin == 0 || !is_word(code_point(text, last_character(text.substr(0, begin))));
      const bool right = end == text.size() || !is_word(code_point(text, end));
      if (!left || !right) continue;
    }
    if (begin < done) continue;  // swallowed by the spaces of the one before
    if (entry->token.lstrip) begin = std::max(without_spaces_at_end(text.substr(0, begin)), done);
    if (entry->token.rstrip) end += spaces_at_start(text.substr(end));
    if (begin > done) parts.push_back({done, begin, -1});
    parts.push_back({begin, end, entry->token.id});
    done = end;
  }
  if (done < text.size()) parts.push_back({done, text.size(), -1});
  return parts;
}

}  // namespace finetune
