#include "data/jinja/lexer.h"

#include <array>
#include <cctype>
#include <cstdlib>

#include "data/jinja/ast.h"
#include "data/jinja/unicode.h"

namespace finetune::jinja {
namespace {

bool is_name_start(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

bool is_one_of(std::string_view set, char c) {
  return set.find(c) != std::string_view::npos;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) read_data();
    push(Token::Kind::end, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw LineFault(line_, what); }

  void push(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void advance(std::size_t to) {
    for (; at_ < to; ++at_) line_ += source_[at_] == '\n' ? 1 : 0;
  }

  // Text up to the next tag, and the tag.
  void read_data() {
    std::size_t tag = source_.find('{', at_);
    while (tag != std::string_view::npos && (tag + 1 >= source_.size() || !is_one_of("%{#", source_[tag + 1])))
      tag = source_.find('{', tag + 1);
    if (tag == std::string_view::npos) tag = source_.size();
    const bool variable = tag < source_.size() && source_[tag + 1] == '{';
    emit_data(tag, variable);
    if (at_ >= source_.size()) return;
    const char kind = source_[at_ + 1];
    const std::size_t inside = at_ + 2 + (sign_at(at_ + 2) != 0 ? 1 : 0);
    if (kind == '#') return skip_comment(inside);
    if (kind == '%' && skip_raw(inside)) return;
    push(variable ? Token::Kind::variable_begin : Token::Kind::block_begin, "");
    at_ = inside;
    read_tag(variable);
  }

  char sign_at(std::size_t at) const {
    return at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : '\0';
  }

  // The text before the tag at `tag`, less what `-` or lstrip_blocks takes from its end.
  void emit_data(std::size_t tag, bool variable) {
    std::string_view text = source_.substr(at_, tag - at_);
    const char sign = tag < source_.size() ? sign_at(tag + 2) : '+';
    if (sign == '-') {
      text = strip_right(text);
    } else if (sign != '+' && !variable) {
      const std::size_t newline = text.rfind('\n'), begin = newline == std::string_view::npos ? 0 : newline + 1;
      const bool starts_line = begin > 0 || at_ == 0 || source_[at_ - 1] == '\n';
      if (starts_line && strip_right(text.substr(begin)).empty()) text = text.substr(0, begin);
    }
    if (!text.empty()) push(Token::Kind::data, std::string(text));
    advance(tag);
  }

  // After a tag's end: `-` takes all white space, a block or comment one line end.
  void after_tag(std::size_t end, char sign, bool variable) {
    advance(end);
    if (sign == '-')
      advance(source_.size() - strip_left(source_.substr(end)).size());
    else if (sign != '+' && !variable && end < source_.size() && source_[end] == '\n')
      advance(end + 1);
  }

  void skip_comment(std::size_t inside) {
    const std::size_t end = source_.find("#}", inside);
    if (end == std::string_view::npos) fail("a comment is never closed");
    const char sign = end > inside ? sign_at(end - 1) : '\0';
    after_tag(end + 2, sign, false);
  }

  // {% raw %} ... {% endraw %}: the text between as it stands.
  bool skip_raw(std::size_t inside) {
    std::size_t at = inside;
    char sign = '\0';
    if (!word_tag("raw", at, sign)) return false;
    after_tag(at, sign == '-' ? '-' : '+', false);
    for (std::size_t tag = source_.find("{%", at_); tag != std::string_view::npos; tag = source_.find("{%", tag + 2)) {
      std::size_t end = tag + 2 + (sign_at(tag + 2) != 0 ? 1 : 0);
      if (!word_tag("endraw", end, sign)) continue;
      emit_data(tag, false);
      after_tag(end, sign, false);
      return true;
    }
    fail("raw is never closed");
  }

  bool word_tag(std::string_view word, std::size_t& at, char& sign) const {
    const auto skip_spaces = [&] { at = source_.size() - strip_left(source_.substr(at)).size(); };
    skip_spaces();
    if (!source_.substr(at).starts_with(word)) return false;
    at += word.size();
    skip_spaces();
    sign = sign_at(at);
    if (sign != 0) ++at;
    if (!source_.substr(at).starts_with("%}")) return false;
    at += 2;
    return true;
  }

  void read_tag(bool variable) {
    const std::string_view close = variable ? "}}" : "%}";
    std::string open;  // brackets not yet closed
    while (true) {
      advance(source_.size() - strip_left(source_.substr(at_)).size());
      if (at_ >= source_.size()) fail("a tag is never closed");
      const char sign = sign_at(at_);
      const std::size_t end = at_ + ((sign == '-' || (sign == '+' && !variable)) ? 1 : 0);
      if (open.empty() && source_.substr(end).starts_with(close)) {
        push(variable ? Token::Kind::variable_end : Token::Kind::block_end, "");
        return after_tag(end + 2, end > at_ ? sign : '\0', variable);
      }
      read_token(open);
    }
  }

  void read_token(std::string& open) {
    const char c = source_[at_];
    if (is_digit(c)) return read_number();
    if (is_name_start(c)) return read_name();
    if (c == '\'' || c == '"') return read_text();
    static constexpr std::array<std::string_view, 6> kLong = {"//", "**", "==", "!=", ">=", "<="};
    for (const auto& op : kLong) {
      if (!source_.substr(at_).starts_with(op)) continue;
      push(Token::Kind::op, std::string(op));
      at_ += 2;
      return;
    }
    if (!is_one_of("+-/*%~[](){}><=.:|,;", c)) fail(std::string("unexpected character '") + c + "'");
    if (is_one_of("([{", c)) open += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (is_one_of(")]}", c)) {
      if (open.empty() || open.back() != c) fail(std::string("unexpected '") + c + "'");
      open.pop_back();
    }
    push(Token::Kind::op, std::string(1, c));
    ++at_;
  }

  void read_name() {
    const std::size_t begin = at_;
    while (at_ < source_.size() && (is_name_start(source_[at_]) || is_digit(source_[at_]))) ++at_;
    push(Token::Kind::name, std::string(source_.substr(begin, at_ - begin)));
  }

  std::size_t digits_end(std::size_t at) const {
    while (at < source_.size() &&
           (is_digit(source_[at]) || (source_[at] == '_' && at + 1 < source_.size() && is_digit(source_[at + 1]))))
      ++at;
    return at;
  }

  void read_number() {
    const auto has_digit = [&](std::size_t at) { return at < source_.size() && is_digit(source_[at]); };
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';  // a.0.1: two indices, no fraction
    std::size_t end = digits_end(at_);
    if (end == at_ + 1 && source_[at_] == '0' && end < source_.size() && is_one_of("xXoObB", source_[end]))
      fail("numbers of other bases are not interpreted");
    bool real = false;
    if (!after_dot && end < source_.size() && source_[end] == '.' && has_digit(end + 1)) {
      end = digits_end(end + 1);
      real = true;
    }
    if (!after_dot && end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      const std::size_t exponent = end + 1 + (sign_at(end + 1) != 0 ? 1 : 0);
      if (has_digit(exponent)) {
        end = digits_end(exponent);
        real = true;
      }
    }
    std::string digits;
    for (const char c : source_.substr(at_, end - at_)) {
      if (c != '_') digits += c;
    }
    push(real ? Token::Kind::real : Token::Kind::integer, digits);
    at_ = end;
  }

  void read_text() {
    const char quote = source_[at_];
    const int line = line_;
    std::string raw;
    std::size_t at = at_ + 1;
    for (; at < source_.size() && source_[at] != quote; ++at) {
      if (source_[at] == '\\') raw += source_[at++];
      if (at < source_.size()) raw += source_[at];
    }
    if (at >= source_.size()) fail("a string is never closed");
    tokens_.push_back({Token::Kind::text, unescape(raw), line});
    advance(at + 1);
  }

  // Python's escapes; unknown ones stay as they are.
  std::string unescape(std::string_view raw) const {
    static constexpr std::string_view kLetters = "\\'\"abfnrtv", kMeant = "\\'\"\a\b\f\n\r\t\v";
    std::string out;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] != '\\') {
        out += raw[i];
        continue;
      }
      const char c = raw[++i];
      if (const auto known = kLetters.find(c); known != std::string_view::npos)
        out += kMeant[known];
      else if (c == 'x' || c == 'u' || c == 'U')
        append_number(out, raw, i, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16, true);
      else if (c >= '0' && c <= '7')
        append_number(out, raw, --i, 3, 8, false);
      else if (c == 'N')
        fail("\\N{...} in a string is not interpreted");
      else if (c != '\n')
        out += {'\\', c};
    }
    return out;
  }

  // The code point of the digits after raw[at]; `at` ends at the last of them.
  void append_number(std::string& out, std::string_view raw, std::size_t& at, std::size_t most, int base,
                     bool all) const {
    std::size_t end = at + 1;
    while (end < raw.size() && end <= at + most && std::isxdigit(static_cast<unsigned char>(raw[end])) &&
           (base == 16 || (raw[end] >= '0' && raw[end] <= '7')))
      ++end;
    if (all && end != at + 1 + most) fail("a string has an escape that is cut short");
    const std::string digits(raw.substr(at + 1, end - at - 1));
    const auto point = static_cast<char32_t>(std::strtoul(digits.c_str(), nullptr, base));
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) fail("a string has an escape that is no character");
    append_point(out, point);
    at = end - 1;
  }

  std::string_view source_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

std::string normalized_source(std::string_view source) {
  std::string out;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

std::vector<Token> tokenize(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace finetune::jinja
