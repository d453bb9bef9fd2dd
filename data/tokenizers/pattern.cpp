#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/tokenizers/pattern.h"

#include <pcre2.h>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace finetune {

struct Pattern::Compiled {
  explicit Compiled(pcre2_code* compiled) : code(compiled) {}
  ~Compiled() { pcre2_code_free(code); }
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  pcre2_code* code;
};

namespace {

// \s of Unicode, as Oniguruma and Rust read it: PCRE2's also holds U+180E.
std::string with_unicode_spaces(const std::string& source) {
  const std::string spaces = R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
  std::string out;
  bool in_class = false;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const char next = source[i] == '\\' && i + 1 < source.size() ? source[++i] : '\0';
    if (next == 's') {
      out += in_class ? spaces : "[" + spaces + "]";
    } else if (next == 'S' && !in_class) {
      out += "[^" + spaces + "]";
    } else if (next != '\0') {
      out += {'\\', next};
    } else {
      if (source[i] == '[') in_class = true;
      if (source[i] == ']') in_class = false;
      out += source[i];
    }
  }
  return out;
}

}  // namespace

Pattern Pattern::regex(const std::string& where, const std::string& written) {
  const std::string source = with_unicode_spaces(written);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(), PCRE2_UTF | PCRE2_UCP,
                                   &error, &offset, nullptr);
  if (code == nullptr) {
    PCRE2_UCHAR message[120] = {};
    pcre2_get_error_message(error, message, sizeof message);
    throw bad_input(where, "regular expression cannot be read at character " + std::to_string(offset) + ": " +
                               reinterpret_cast<const char*>(message));
  }
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without a JIT matching is slower, not wrong
  Pattern pattern;
  pattern.compiled_ = std::make_shared<const Compiled>(code);
  return pattern;
}

Pattern Pattern::literal(std::string text) {
  Pattern pattern;
  pattern.literal_ = std::move(text);
  return pattern;
}

Pattern Pattern::from_json(const std::string& where, const nlohmann::ordered_json& json) {
  if (json.is_string()) return literal(json.get<std::string>());
  if (json.is_object() && json.contains("String") && json["String"].is_string())
    return literal(json["String"].get<std::string>());
  if (json.is_object() && json.contains("Regex") && json["Regex"].is_string())
    return regex(where, json["Regex"].get<std::string>());
  throw bad_input(where, "pattern is neither String nor Regex");
}

Pattern::Ranges Pattern::find_all(std::string_view text) const {
  return Search(*this).find_all(text);
}

std::uint32_t Pattern::groups() const {
  std::uint32_t count = 0;
  if (compiled_) pcre2_pattern_info(compiled_->code, PCRE2_INFO_CAPTURECOUNT, &count);
  return count;
}

std::optional<std::string> Pattern::find_group(std::string_view text, std::uint32_t group) const {
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data{
      pcre2_match_data_create_from_pattern(compiled_->code, nullptr), pcre2_match_data_free};
  const int found =
      pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0, data.get(), nullptr);
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found < 0) throw bad_input("", "a regular expression takes too long on this text, or the text is not UTF-8");
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get()) + 2 * static_cast<std::size_t>(group);
  if (range[0] == PCRE2_UNSET) return std::string();
  return std::string(text.substr(range[0], range[1] - range[0]));
}

struct Pattern::Search::Scratch {
  std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data{pcre2_match_data_create(1, nullptr),
                                                                      pcre2_match_data_free};
};

Pattern::Search::Search(const Pattern& pattern)
    : pattern_(pattern), scratch_(pattern.compiled_ ? std::make_unique<Scratch>() : nullptr) {}

Pattern::Search::~Search() = default;

const Pattern::Ranges& Pattern::Search::find_all(std::string_view text) {
  matches_.clear();
  if (pattern_.compiled_)
    find_expressions(text);
  else
    find_literals(text);
  return matches_;
}

void Pattern::Search::find_literals(std::string_view text) {
  const std::string& literal = pattern_.literal_;
  if (literal.empty()) return;
  for (auto at = text.find(literal); at != std::string_view::npos; at = text.find(literal, at + literal.size()))
    matches_.emplace_back(at, at + literal.size());
}

void Pattern::Search::find_expressions(std::string_view text) {
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(scratch_->data.get());
  for (std::size_t at = 0; at <= text.size();) {
    const int found = match(text, at);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) throw bad_input("", "a regular expression of the tokenizer takes too long on this text");
    if (range[1] > range[0]) matches_.emplace_back(range[0], range[1]);
    at = range[1] > range[0] ? range[1] : range[1] + 1;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  }
}

// Straight to the machine code where there is any and its stack suffices. The text was checked to be UTF-8 when it was
// read.
int Pattern::Search::match(std::string_view text, std::size_t from) {
  const pcre2_code* code = pattern_.compiled_->code;
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const int found = pcre2_jit_match(code, subject, text.size(), from, 0, scratch_->data.get(), nullptr);
  if (found != PCRE2_ERROR_JIT_BADOPTION && found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
  return pcre2_match(code, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, scratch_->data.get(),
                     nullptr);
}

}  // namespace finetune
