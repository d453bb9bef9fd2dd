#include "data/jinja/unicode.h"

#include <string.h>  // memmem
#include <utf8proc.h>

#include <algorithm>
#include <array>

namespace finetune::jinja {
namespace {

utf8proc_category_t category(char32_t point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(point));
}

char32_t simple_upper(char32_t point) {
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(point)));
}

char32_t simple_lower(char32_t point) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point)));
}

// The full upper case (or title case) of a character that has no single one is that of its case folding: sharp s,
// ligatures, Greek with iota below.
void append_upper(std::string& out, char32_t point, bool title) {
  if (point < 0x80) {
    out += static_cast<char>(point >= 'a' && point <= 'z' ? point - 32 : point);
    return;
  }
  const char32_t single =
      title ? static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(point))) : simple_upper(point);
  std::array<utf8proc_int32_t, 8> folded{};
  int boundary = 0;
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(point), folded.data(), folded.size(),
                                             UTF8PROC_CASEFOLD, &boundary);
  if (count < 2 || category(point) == UTF8PROC_CATEGORY_LU || (title && category(single) == UTF8PROC_CATEGORY_LT))
    return append_point(out, single);
  for (utf8proc_ssize_t i = 0; i < count; ++i) {
    const auto part = static_cast<char32_t>(folded[static_cast<std::size_t>(i)]);
    append_point(out, title && i > 0 ? part : simple_upper(part));
  }
}

bool ignorable(char32_t point) {  // Case_Ignorable, near enough for the final sigma
  const auto kind = category(point);
  return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_ME || kind == UTF8PROC_CATEGORY_CF ||
         kind == UTF8PROC_CATEGORY_LM || kind == UTF8PROC_CATEGORY_SK || point == '\'' || point == '.' ||
         point == ':' || point == 0xb7 || point == 0x2019;
}

// Unicode's Final_Sigma: a letter before it, none after.
bool final_sigma(const std::vector<char32_t>& points, std::size_t at) {
  std::size_t before = at, after = at + 1;
  while (before > 0 && ignorable(points[before - 1])) --before;
  if (before == 0 || !is_cased(points[before - 1])) return false;
  while (after < points.size() && ignorable(points[after])) ++after;
  return after == points.size() || !is_cased(points[after]);
}

void append_lower(std::string& out, const std::vector<char32_t>& points, std::size_t at) {
  const char32_t point = points[at];
  if (point == 0x3a3) return append_point(out, final_sigma(points, at) ? 0x3c2 : 0x3c3);
  append_point(out, point == 0x130 ? 'i' : simple_lower(point));
  if (point == 0x130) append_point(out, 0x307);
}

bool ends_line(char32_t c) {
  return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

template <typename Drops>
std::string_view without_left(std::string_view text, const Drops& drops) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t next = at;
    if (!drops(next_point(text, next))) break;
    at = next;
  }
  return text.substr(at);
}

template <typename Drops>
std::string_view without_right(std::string_view text, const Drops& drops) {
  while (!text.empty()) {
    std::size_t begin = text.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) --begin;
    std::size_t at = begin;
    if (!drops(next_point(text, at))) break;
    text.remove_suffix(text.size() - begin);
  }
  return text;
}

auto one_of(std::string_view set) {
  return [points = points_of(set)](char32_t c) { return std::find(points.begin(), points.end(), c) != points.end(); };
}

}  // namespace

char32_t next_point(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  const char32_t first = byte(at);
  const std::size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (size == 1 || at + size > text.size()) {
    ++at;
    return first;
  }
  char32_t point = first & (0xff >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) point = point << 6 | (byte(at + i) & 0x3f);
  at += size;
  return point;
}

void append_point(std::string& text, char32_t point) {
  if (point < 0x80) {
    text += static_cast<char>(point);
    return;
  }
  const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  text += static_cast<char>((0xff00 >> (more + 1) & 0xff) | point >> (6 * more));
  for (int i = more - 1; i >= 0; --i) text += static_cast<char>(0x80 | (point >> (6 * i) & 0x3f));
}

std::vector<char32_t> points_of(std::string_view text) {
  std::vector<char32_t> points;
  points.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) points.push_back(next_point(text, at));
  return points;
}

std::size_t count_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::size_t byte_offset(std::string_view text, std::size_t index) {
  std::size_t at = 0;
  for (; index > 0 && at < text.size(); --index) next_point(text, at);
  return at;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_letter(char32_t c) {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_word(char32_t c) {
  const auto kind = category(c);
  return c == '_' || is_letter(c) || (kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO);
}

bool is_printable(char32_t c) {
  const auto kind = category(c);
  return c == ' ' || (kind != UTF8PROC_CATEGORY_CN && kind < UTF8PROC_CATEGORY_ZS);
}

bool is_upper(char32_t c) {
  return utf8proc_isupper(static_cast<utf8proc_int32_t>(c)) != 0;
}

bool is_lower(char32_t c) {
  return utf8proc_islower(static_cast<utf8proc_int32_t>(c)) != 0;
}

bool is_cased(char32_t c) {
  return is_upper(c) || is_lower(c) || category(c) == UTF8PROC_CATEGORY_LT;
}

std::string to_upper(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) append_upper(out, next_point(text, at), false);
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  if (is_ascii(text)) {
    for (const char c : text) out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return out;
  }
  const std::vector<char32_t> points = points_of(text);
  for (std::size_t i = 0; i < points.size(); ++i) append_lower(out, points, i);
  return out;
}

std::string to_title(std::string_view text) {
  std::string out;
  const std::vector<char32_t> points = points_of(text);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const bool inside = i > 0 && is_cased(points[i - 1]);
    inside ? append_lower(out, points, i) : append_upper(out, points[i], true);
  }
  return out;
}

std::string capitalized(std::string_view text) {
  std::string out;
  const std::vector<char32_t> points = points_of(text);
  for (std::size_t i = 0; i < points.size(); ++i)
    i == 0 ? append_upper(out, points[i], true) : append_lower(out, points, i);
  return out;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0, at = 0; at < text.size();) {
    const std::size_t end = at;
    const char32_t c = next_point(text, at);
    if (ends_line(c)) {
      if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
      lines.push_back(text.substr(begin, (keep_ends ? at : end) - begin));
      begin = at;
    } else if (at >= text.size()) {
      lines.push_back(text.substr(begin));
    }
  }
  return lines;
}

std::string_view strip_left(std::string_view text) {
  return without_left(text, is_space);
}

std::string_view strip_right(std::string_view text) {
  return without_right(text, is_space);
}

std::string_view strip_left(std::string_view text, std::string_view set) {
  return without_left(text, one_of(set));
}

std::string_view strip_right(std::string_view text, std::string_view set) {
  return without_right(text, one_of(set));
}

std::size_t find_text(std::string_view text, std::string_view part, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (part.empty()) return from;
  const void* found = ::memmem(text.data() + from, text.size() - from, part.data(), part.size());
  return found == nullptr ? std::string_view::npos
                          : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

}  // namespace finetune::jinja
