#include "data/jinja/printing.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "data/jinja/unicode.h"

namespace finetune::jinja {
namespace {

// float.__repr__: the shortest digits that read back, with an exponent below 1e-4 and from 1e16.
std::string repr_of(double number, const char* nan, const char* infinity) {
  if (std::isnan(number)) return nan;
  if (std::isinf(number)) return number > 0 ? infinity : std::string("-") + infinity;
  char buffer[40];
  const double size = std::fabs(number);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific)
                       .ptr;
  std::string text(buffer, end);
  if (plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::string quoted(const std::string& bytes) {
  const bool single = bytes.find('\'') == std::string::npos || bytes.find('"') != std::string::npos;
  const char quote = single ? '\'' : '"';
  std::string out(1, quote);
  for (std::size_t at = 0; at < bytes.size();) {
    const char32_t c = next_point(bytes, at);
    if (c == static_cast<char32_t>(quote) || c == '\\')
      out += {'\\', static_cast<char>(c)};
    else if (c == '\n' || c == '\r' || c == '\t')
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    else if (is_printable(c))
      append_point(out, c);
    else
      out += fmt::format(fmt::runtime(c < 0x100     ? "\\x{:02x}"
                                      : c < 0x10000 ? "\\u{:04x}"
                                                    : "\\U{:08x}"),
                         static_cast<std::uint32_t>(c));
  }
  return out + quote;
}

template <typename Items, typename Write>
std::string joined(const char* open, const Items& items, const char* close, const Write& write) {
  std::string out = open;
  bool first = true;
  for (const auto& item : items) {
    if (!first) out += ", ";
    first = false;
    out += write(item);
  }
  return out + close;
}

std::string repr_of_sequence(const Sequence& sequence) {
  using Kind = Sequence::Kind;
  const auto whole = [](const Value& item) { return repr_of(item); };
  switch (sequence.kind) {
    case Kind::list:
      return joined("[", sequence.items, "]", whole);
    case Kind::tuple:
      return joined("(", sequence.items, sequence.items.size() == 1 ? ",)" : ")", whole);
    case Kind::keys:
      return joined("dict_keys([", sequence.items, "])", whole);
    case Kind::values:
      return joined("dict_values([", sequence.items, "])", whole);
    case Kind::items:
      return joined("dict_items([", sequence.items, "])", whole);
    default:
      throw Fault("a generator or range is printed; put | list before it");
  }
}

}  // namespace

std::string repr_of(const Value& value) {
  if (value.is_undefined()) return "Undefined";
  if (value.is<None>()) return "None";
  if (const auto* flag = value.as<bool>()) return *flag ? "True" : "False";
  if (const auto* integer = value.as<std::int64_t>()) return std::to_string(*integer);
  if (const auto* real = value.as<double>()) return repr_of(*real, "nan", "inf");
  if (value.is_text()) return value.markup() ? "Markup(" + quoted(value.bytes()) + ")" : quoted(value.bytes());
  if (const auto* sequence = value.sequence()) return repr_of_sequence(*sequence);
  if (const auto* dict = value.dict())
    return joined("{", dict->entries, "}",
                  [](const auto& entry) { return repr_of(entry.first) + ": " + repr_of(entry.second); });
  throw Fault(std::string("a value of type ") + type_name(value) + " is printed");
}

std::string text_of(const Value& value) {
  if (value.is_text()) return value.bytes();
  return value.is_undefined() ? "" : repr_of(value);
}

namespace {

class JsonWriter {
 public:
  explicit JsonWriter(const JsonStyle& style) : style_(style) {}

  void write(const Value& value, int level) {
    if (value.is<None>())
      out_ += "null";
    else if (const auto* flag = value.as<bool>())
      out_ += *flag ? "true" : "false";
    else if (const auto* integer = value.as<std::int64_t>())
      out_ += std::to_string(*integer);
    else if (const auto* real = value.as<double>())
      out_ += repr_of(*real, "NaN", "Infinity");
    else if (value.is_text())
      write_text(value.bytes());
    else if (const auto* dict = value.dict())
      write_dict(*dict, level);
    else if (const auto* sequence = value.sequence(); sequence != nullptr && sequence->kind <= Sequence::Kind::tuple)
      write_list(*sequence, level);
    else
      throw Fault(std::string("tojson: a value of type ") + type_name(value) + " has no form in JSON");
  }

  std::string take() { return std::move(out_); }

 private:
  void new_line(int level) {
    if (!style_.indented) return;
    out_ += '\n';
    for (int i = 0; i < level; ++i) out_ += style_.indent;
  }

  void write_list(const Sequence& list, int level) {
    if (list.items.empty()) {
      out_ += "[]";
      return;
    }
    out_ += '[';
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out_ += style_.item_separator;
      new_line(level + 1);
      write(list.items[i], level + 1);
    }
    new_line(level);
    out_ += ']';
  }

  void write_dict(const Dict& dict, int level) {
    if (dict.entries.empty()) {
      out_ += "{}";
      return;
    }
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys)
      std::stable_sort(entries.begin(), entries.end(),
                       [](const auto* a, const auto* b) { return compare(a->first, b->first) < 0; });
    out_ += '{';
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) out_ += style_.item_separator;
      new_line(level + 1);
      write_key(entries[i]->first);
      out_ += style_.key_separator;
      write(entries[i]->second, level + 1);
    }
    new_line(level);
    out_ += '}';
  }

  void write_key(const Value& key) {
    if (key.is_text()) return write_text(key.bytes());
    if (key.sequence() != nullptr || key.is_undefined()) throw Fault("tojson: a key is neither text nor number");
    out_ += '"';
    write(key, 0);
    out_ += '"';
  }

  void write_text(const std::string& bytes) {
    out_ += '"';
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t begin = at;
      const char32_t c = next_point(bytes, at);
      if (c == '"' || c == '\\')
        out_ += {'\\', static_cast<char>(c)};
      else if (c < 0x20)
        write_control(c);
      else if (c < 0x7f || !style_.ascii)
        out_.append(bytes, begin, at - begin);
      else if (c < 0x10000)
        out_ += c == 0x7f ? std::string("\x7f") : fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c));
      else
        out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + static_cast<std::uint32_t>(c - 0x10000) / 0x400,
                            0xdc00 + static_cast<std::uint32_t>(c - 0x10000) % 0x400);
    }
    out_ += '"';
  }

  void write_control(char32_t c) {
    static constexpr std::string_view kShort = "\b\t\n\f\r", kLetters = "btnfr";
    if (const auto at = kShort.find(static_cast<char>(c)); at != std::string_view::npos)
      out_ += {'\\', kLetters[at]};
    else
      out_ += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c));
  }

  const JsonStyle& style_;
  std::string out_;
};

}  // namespace

std::string json_of(const Value& value, const JsonStyle& style) {
  JsonWriter writer(style);
  writer.write(value, 0);
  return writer.take();
}

}  // namespace finetune::jinja
