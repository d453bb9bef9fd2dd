#include "data/tokenizers/normalizers.h"

#include <utf8proc.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/error.h"
#include "data/tokenizers/pattern.h"
#include "data/tokenizers/unicode_tables.h"

namespace finetune {
namespace {

bool is_space(std::uint32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP ||
         (c >= 9 && c <= 13) || c == 0x85;
}

class NormalizerChain : public Normalizer {
 public:
  explicit NormalizerChain(std::vector<std::unique_ptr<Normalizer>> parts) : parts_(std::move(parts)) {}
  void apply(AlignedText& text) const override {
    for (const auto& part : parts_) part->apply(text);
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string text) : text_(std::move(text)) {}
  void apply(AlignedText& text) const override { text.prepend(text_); }

 private:
  std::string text_;
};

class Replace : public Normalizer {
 public:
  Replace(Pattern pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(AlignedText& text) const override {
    const auto matches = pattern_.find_all(text.text());
    if (matches.empty()) return;
    AlignedText out;
    std::size_t done = 0;
    for (const auto& [begin, end] : matches) {
      out.append(text, done, begin);
      out.append(content_, text.span_at(end - 1));  // what is put in stands for the last character taken out
      done = end;
    }
    out.append(text, done, text.size());
    text = std::move(out);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

// Unicode normal forms, piece by piece: a piece is a starter and the combining marks behind it, so that spans stay
// local.
class NormalForm : public Normalizer {
 public:
  explicit NormalForm(int options) : options_(static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE)) {}
  void apply(AlignedText& text) const override {
    const std::string& in = text.text();
    if (std::all_of(in.begin(), in.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; })) return;
    AlignedText out;
    for (std::size_t begin = 0; begin < in.size();) {
      const std::size_t plain = plain_end(in, begin);
      out.append(text, begin, plain);
      begin = plain;
      if (begin == in.size()) break;
      std::size_t end = begin + utf8_length(in[begin]);
      if (is_newer_than_normal_forms(code_point(in, begin))) {
        out.append(text, begin, end);
        begin = end;
        continue;
      }
      while (end < in.size() && !starts_piece(code_point(in, end))) end += utf8_length(in[end]);
      append_normalised(text, begin, end, out);
      begin = end;
    }
    text = std::move(out);
  }

 private:
  // ASCII characters stay as they are, save the last before another character, which may compose with it.
  static std::size_t plain_end(const std::string& text, std::size_t begin) {
    std::size_t end = begin;
    while (end < text.size() && static_cast<unsigned char>(text[end]) < 0x80) ++end;
    return end == text.size() || end == begin ? end : end - 1;
  }
  // By what it decomposes to: half-width Hangul and kana marks compose with what is before them as the full ones do.
  bool starts_piece(std::uint32_t c) const {
    if (c < 0x300 || is_newer_than_normal_forms(c)) return true;
    const std::uint32_t first = first_part(c);
    const auto* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(first));
    if (property->combining_class != 0) return false;
    if (first >= 0x1160 && first <= 0x11FF) return false;  // conjoining Hangul vowels and finals are starters too
    return !is_mark(first);                                // composing marks of class 0, as in Indic scripts
  }
  void append_normalised(const AlignedText& text, std::size_t begin, std::size_t end, AlignedText& out) const {
    utf8proc_uint8_t* result = nullptr;
    const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.text().data() + begin),
                                   static_cast<utf8proc_ssize_t>(end - begin), &result, options_);
    const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(result, std::free);
    const std::string_view before(text.text().data() + begin, end - begin);
    const std::string_view after =
        size < 0 ? before : std::string_view(reinterpret_cast<const char*>(result), static_cast<std::size_t>(size));
    if (after == before) return out.append(text, begin, end);
    // As the reference library counts: a character of the result takes as many characters of the source as begin among
    // the parts that it is composed of; one that takes none stands for what the one before it stands for.
    const std::vector<bool> begins = part_begins(before);
    const bool composed = (options_ & UTF8PROC_COMPOSE) != 0;
    std::size_t source = begin, part = 0;
    Span span = text.span_at(begin);
    for (std::size_t i = 0; i < after.size(); i += utf8_length(after[i])) {
      std::size_t taken = 0;
      for (std::size_t k = composed ? parts_of(code_point(after, i)) : 1; k > 0 && part < begins.size(); --k)
        taken += begins[part++];
      if (taken > 0 && source < end) span = text.span_at(source);
      for (; taken > 0 && source < end; --taken) source += utf8_length(text.text()[source]);
      out.append(after.substr(i, utf8_length(after[i])), span);
    }
  }
  std::size_t decompose(std::uint32_t c, utf8proc_int32_t (&parts)[32]) const {
    parts[0] = static_cast<utf8proc_int32_t>(c);
    int boundary = 0;
    const auto options = static_cast<utf8proc_option_t>((options_ & ~UTF8PROC_COMPOSE) | UTF8PROC_DECOMPOSE);
    return static_cast<std::size_t>(std::max<utf8proc_ssize_t>(
        1, utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 32, options, &boundary)));
  }
  std::size_t parts_of(std::uint32_t c) const {
    utf8proc_int32_t parts[32];
    return decompose(c, parts);
  }
  std::uint32_t first_part(std::uint32_t c) const {
    utf8proc_int32_t parts[32];
    decompose(c, parts);
    return static_cast<std::uint32_t>(parts[0]);
  }
  // For each part of the decomposed source: whether a source character begins with it.
  std::vector<bool> part_begins(std::string_view source) const {
    std::vector<bool> begins;
    for (std::size_t i = 0; i < source.size(); i += utf8_length(source[i])) {
      begins.push_back(true);
      begins.insert(begins.end(), parts_of(code_point(source, i)) - 1, false);
    }
    return begins;
  }
  utf8proc_option_t options_;
};

class Lowercase : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    AlignedText out;
    const std::string& in = text.text();
    for (std::size_t i = 0; i < in.size(); i += utf8_length(in[i])) {
      const std::uint32_t c = code_point(in, i);
      // The one character whose lower case is two in Unicode's full mapping.
      const std::string lower = c == 0x130 ? "i\xCC\x87" : to_utf8(to_lower(c));
      out.append(lower, text.span_at(i));
    }
    text = std::move(out);
  }
};

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  void apply(AlignedText& text) const override {
    const std::string& in = text.text();
    std::size_t begin = 0, end = in.size();
    while (left_ && begin < end && is_space(code_point(in, begin))) begin += utf8_length(in[begin]);
    while (right_ && end > begin) {
      std::size_t last = end - 1;
      while (last > begin && (static_cast<unsigned char>(in[last]) & 0xC0) == 0x80) --last;
      if (!is_space(code_point(in, last))) break;
      end = last;
    }
    text = text.slice(begin, end);
  }

 private:
  bool left_, right_;
};

class StripAccents : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    AlignedText out;
    const std::string& in = text.text();
    for (std::size_t i = 0; i < in.size(); i += utf8_length(in[i])) {
      if (!is_mark(code_point(in, i))) out.append(text, i, i + utf8_length(in[i]));
    }
    text = std::move(out);
  }
};

std::string string_field(const std::string& where, const nlohmann::ordered_json& json, const char* key) {
  if (!json.contains(key) || !json[key].is_string()) throw bad_input(where, std::string("normalizer needs ") + key);
  return json[key].get<std::string>();
}

std::unique_ptr<Normalizer> make_chain(const std::string& where, const nlohmann::ordered_json& json) {
  if (!json.contains("normalizers") || !json["normalizers"].is_array())
    throw bad_input(where, "normalizer Sequence has no list");
  std::vector<std::unique_ptr<Normalizer>> parts;
  for (const auto& part : json["normalizers"]) {
    if (auto made = make_normalizer(where, part)) parts.push_back(std::move(made));
  }
  return std::make_unique<NormalizerChain>(std::move(parts));
}

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const std::string& where, const nlohmann::ordered_json& json) {
  if (json.is_null()) return nullptr;
  if (!json.is_object() || !json.contains("type") || !json["type"].is_string())
    throw bad_input(where, "normalizer has no type");
  const std::string type = json["type"].get<std::string>();
  if (type == "Sequence") return make_chain(where, json);
  if (type == "Prepend") return std::make_unique<Prepend>(string_field(where, json, "prepend"));
  if (type == "Replace") {
    if (!json.contains("pattern")) throw bad_input(where, "normalizer Replace has no pattern");
    return std::make_unique<Replace>(Pattern::from_json(where, json["pattern"]), string_field(where, json, "content"));
  }
  if (type == "NFC") return std::make_unique<NormalForm>(UTF8PROC_COMPOSE);
  if (type == "NFD") return std::make_unique<NormalForm>(UTF8PROC_DECOMPOSE);
  if (type == "NFKC") return std::make_unique<NormalForm>(UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
  if (type == "NFKD") return std::make_unique<NormalForm>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
  if (type == "Lowercase") return std::make_unique<Lowercase>();
  if (type == "StripAccents") return std::make_unique<StripAccents>();
  if (type == "Strip") return std::make_unique<Strip>(json.value("strip_left", true), json.value("strip_right", true));
  throw bad_input(where, "normalizer " + type + " is not supported");
}

}  // namespace finetune
