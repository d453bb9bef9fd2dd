// Methods of str.
#include <algorithm>

#include "data/jinja/arguments.h"
#include "data/jinja/methods.h"
#include "data/jinja/printing.h"
#include "data/jinja/text_filters.h"
#include "data/jinja/unicode.h"

namespace finetune::jinja {
namespace {

using Name = const std::string&;

// The argument's text, or null where it is left out or none.
const std::string* optional_text(const Bound& bound, std::size_t i) {
  return bound.given(i) == nullptr ? nullptr : &bound.text(i);
}

template <std::string (*change)(std::string_view)>
Value changed(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {}, arguments);
  return e.text(change(self.bytes()), self.markup());
}

std::string swapped(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const bool upper = is_upper(next_point(text, at));
    out += upper ? to_lower(text.substr(begin, at - begin)) : to_upper(text.substr(begin, at - begin));
  }
  return out;
}

Value strip(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"chars"}}, arguments);
  const std::string* set = optional_text(bound, 0);
  std::string_view text = self.bytes();
  if (name != "rstrip") text = set == nullptr ? strip_left(text) : strip_left(text, *set);
  if (name != "lstrip") text = set == nullptr ? strip_right(text) : strip_right(text, *set);
  return e.text(std::string(text), self.markup());
}

// startswith, endswith: a text or a tuple of them; start and end as slices.
Value begins(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"prefix", "start", "end"}, 1}, arguments);
  const Value none(None{});
  const Value part = bound[1] == nullptr && bound[2] == nullptr ? self
                                                                : e.slice(self, bound[1] == nullptr ? none : *bound[1],
                                                                          bound[2] == nullptr ? none : *bound[2], none);
  const auto fits = [&](const Value& affix) {
    if (!affix.is_text()) throw Fault(name + " wants a text or a tuple of texts");
    return name == "startswith" ? part.bytes().starts_with(affix.bytes()) : part.bytes().ends_with(affix.bytes());
  };
  const auto* several = bound[0]->sequence();
  if (several == nullptr || several->kind != Sequence::Kind::tuple) return {fits(*bound[0])};
  return {std::any_of(several->items.begin(), several->items.end(), fits)};
}

Value remove_affix(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"affix"}, 1}, arguments);
  const std::string& text = self.bytes();
  const std::string& affix = bound.text(0);
  if (name == "removeprefix" && text.starts_with(affix)) return e.text(text.substr(affix.size()), self.markup());
  if (name == "removesuffix" && text.ends_with(affix))
    return e.text(text.substr(0, text.size() - affix.size()), self.markup());
  return self;
}

Value replace(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"old", "new", "count"}, 2}, arguments);
  const std::string &from = bound.text(0), &text = self.bytes();
  const std::string to = self.markup() && !bound[1]->markup() ? escaped(bound.text(1)) : bound.text(1);
  e.spend(static_cast<std::int64_t>((text.size() + 1) / std::max<std::size_t>(1, from.size()) * to.size() / 16));
  return e.text(replaced(text, from, to, bound.whole(2, -1)), self.markup());
}

// Without a separator: at runs of white space, none at the ends.
std::vector<std::string_view> words(std::string_view text, std::int64_t most) {
  std::vector<std::string_view> parts;
  text = strip_left(text);
  for (; !text.empty(); text = strip_left(text)) {
    std::size_t end = 0;
    if (most >= 0 && static_cast<std::int64_t>(parts.size()) == most) {
      parts.push_back(text);
      break;
    }
    for (std::size_t at = 0; at < text.size() && !is_space(next_point(text, at));) end = at;
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

std::vector<std::string_view> words_from_right(std::string_view text, std::int64_t most) {
  std::vector<std::string_view> parts;
  text = strip_right(text);
  for (; !text.empty(); text = strip_right(text)) {
    std::size_t begin = 0;
    if (most >= 0 && static_cast<std::int64_t>(parts.size()) == most) {
      parts.push_back(text);
      break;
    }
    for (std::size_t at = text.size(); at > 0;) {
      std::size_t first = at - 1;
      while (first > 0 && (static_cast<unsigned char>(text[first]) & 0xc0) == 0x80) --first;
      std::size_t next = first;
      if (is_space(next_point(text, next))) {
        begin = at;
        break;
      }
      at = first;
    }
    parts.push_back(text.substr(begin));
    text = text.substr(0, begin);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> pieces(std::string_view text, std::string_view separator, std::int64_t most, bool right) {
  std::vector<std::string_view> parts;
  while (most < 0 || static_cast<std::int64_t>(parts.size()) < most) {
    const std::size_t at = right ? text.rfind(separator) : find_text(text, separator);
    if (at == std::string_view::npos) break;
    parts.push_back(right ? text.substr(at + separator.size()) : text.substr(0, at));
    text = right ? text.substr(0, at) : text.substr(at + separator.size());
  }
  parts.push_back(text);
  if (right) std::reverse(parts.begin(), parts.end());
  return parts;
}

Value as_list(Evaluator& e, const std::vector<std::string_view>& parts, bool markup,
              Sequence::Kind kind = Sequence::Kind::list) {
  std::vector<Value> items;
  for (const auto& part : parts) items.push_back(e.text(std::string(part), markup));
  return e.list(std::move(items), kind);
}

Value split_text(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"sep", "maxsplit"}}, arguments);
  const std::string* separator = optional_text(bound, 0);
  const std::int64_t most = bound.whole(1, -1);
  const bool right = name == "rsplit";
  if (separator == nullptr)
    return as_list(e, right ? words_from_right(self.bytes(), most) : words(self.bytes(), most), self.markup());
  if (separator->empty()) throw Fault("split at an empty text");
  e.spend(static_cast<std::int64_t>(self.bytes().size() / 16 * (right ? separator->size() : 1)));
  return as_list(e, pieces(self.bytes(), *separator, most, right), self.markup());
}

Value partition(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"sep"}, 1}, arguments);
  if (bound.text(0).empty()) throw Fault("partition at an empty text");
  const bool right = name == "rpartition";
  auto parts = pieces(self.bytes(), bound.text(0), 1, right);
  if (parts.size() == 2)
    parts.insert(parts.begin() + 1, bound.text(0));
  else
    parts.insert(right ? parts.begin() : parts.end(), 2, std::string_view());
  return as_list(e, parts, self.markup(), Sequence::Kind::tuple);
}

Value splitlines(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"keepends"}}, arguments);
  return as_list(e, split_lines(self.bytes(), bound.flag(0, false)), self.markup());
}

Value join(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"iterable"}, 1}, arguments);
  std::string out;
  bool begun = false;
  const auto items = e.iterate(*bound[0]);
  for (const auto& one : items->items) {
    if (!one.is_text()) throw Fault("join of something other than texts");
    e.spend(static_cast<std::int64_t>((one.bytes().size() + self.bytes().size()) / 16));
    if (begun) out += self.bytes();
    begun = true;
    out += self.markup() && !one.markup() ? escaped(one.bytes()) : one.bytes();
  }
  return e.text(std::move(out), self.markup());
}

// find, rfind, index, rindex: places as code points.
Value find(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"sub", "start", "end"}, 1}, arguments);
  const std::string &text = self.bytes(), &part = bound.text(0);
  const auto size = static_cast<std::int64_t>(count_points(text));
  const auto place = [&](std::size_t i, std::int64_t otherwise) {
    const std::int64_t at = bound.given(i) == nullptr ? otherwise : bound.whole(i, otherwise);
    return at < 0 ? std::max<std::int64_t>(0, at + size) : at;
  };
  const std::int64_t begin = place(1, 0), end = std::min(place(2, size), size);
  std::size_t found = std::string::npos, from = 0;
  e.spend(static_cast<std::int64_t>(text.size() / 16));
  if (begin <= end) {
    from = byte_offset(text, static_cast<std::size_t>(begin));
    const std::size_t to = byte_offset(text, static_cast<std::size_t>(end));
    const std::string_view window = std::string_view(text).substr(from, to - from);
    if (name.starts_with('r')) e.spend(static_cast<std::int64_t>(window.size() / 16 * part.size()));
    found = name.starts_with('r') ? window.rfind(part) : find_text(window, part);
  }
  if (found == std::string::npos && name.ends_with("index")) throw Fault(name + ": the text is not there");
  return {found == std::string::npos
              ? std::int64_t{-1}
              : static_cast<std::int64_t>(count_points(std::string_view(text).substr(0, from + found)))};
}

Value count(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"sub"}, 1}, arguments);
  const std::string &text = self.bytes(), &part = bound.text(0);
  e.spend(static_cast<std::int64_t>(text.size() / 16));
  if (part.empty()) return {static_cast<std::int64_t>(count_points(text)) + 1};
  std::int64_t times = 0;
  for (std::size_t at = find_text(text, part); at != std::string_view::npos;
       at = find_text(text, part, at + part.size()))
    ++times;
  return {times};
}

// ljust, rjust, center, zfill.
Value padded(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"width", "fillchar"}, 1}, arguments);
  const std::string fill = name == "zfill" ? "0" : bound.text(1, " ");
  const auto size = static_cast<std::int64_t>(count_points(self.bytes()));
  const std::int64_t width = bound.whole(0, 0), blanks = width - size;
  if (count_points(fill) != 1) throw Fault(name + " fills with one character");
  if (width > 1'000'000) throw Fault(name + " is too wide");
  if (blanks <= 0) return self;
  e.spend(blanks);
  const auto times = [&](std::int64_t n) {
    std::string out;
    for (std::int64_t i = 0; i < n; ++i) out += fill;
    return out;
  };
  const std::string& text = self.bytes();
  if (name == "ljust") return e.text(text + times(blanks), self.markup());
  if (name == "rjust") return e.text(times(blanks) + text, self.markup());
  const bool sign = name == "zfill" && (text.starts_with('-') || text.starts_with('+'));
  if (name == "zfill")
    return e.text(text.substr(0, sign ? 1 : 0) + times(blanks) + text.substr(sign ? 1 : 0), self.markup());
  const std::int64_t left = blanks / 2 + (blanks & width & 1);
  return e.text(times(left) + text + times(blanks - left), self.markup());
}

bool is_digit_point(char32_t c) {
  return c >= '0' && c <= '9';
}

bool is_letter_or_digit(char32_t c) {
  return c != '_' && is_word(c);
}

// isdigit and its like: something is there, and all of it is of the kind. Digits beyond ASCII differ between isdecimal,
// isdigit and isnumeric; those are refused.
template <bool (*wanted)(char32_t)>
Value all_are(Evaluator&, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {}, arguments);
  const auto points = points_of(self.bytes());
  if (name != "isalpha" && name != "isalnum" && name != "isspace" && !is_ascii(self.bytes()) &&
      std::all_of(points.begin(), points.end(), [](char32_t c) { return is_word(c) && !is_letter(c); }))
    throw Fault(name + " of digits beyond ASCII is not interpreted");
  return {!points.empty() && std::all_of(points.begin(), points.end(), wanted)};
}

template <bool (*wanted)(char32_t)>
Value in_case(Evaluator&, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {}, arguments);
  const auto points = points_of(self.bytes());
  return {std::any_of(points.begin(), points.end(), wanted) &&
          std::all_of(points.begin(), points.end(), [](char32_t c) { return !is_cased(c) || wanted(c); })};
}

// {} and {0} and {name}; formats and attributes after them are refused.
Value format(Evaluator& e, const Value& self, Name, const Arguments& arguments) {
  const std::string& text = self.bytes();
  std::string out;
  std::size_t next = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c == '{' || c == '}') && i + 1 < text.size() && text[i + 1] == c) {
      out += text[i++];
      continue;
    }
    if (c == '}') throw Fault("format: a single }");
    if (c != '{') {
      out += c;
      continue;
    }
    const std::size_t end = text.find('}', i);
    if (end == std::string::npos) throw Fault("format: a single {");
    const std::string field = text.substr(i + 1, end - i - 1);
    if (field.find_first_of("{:!.[") != std::string::npos) throw Fault("{" + field + "} in format is not interpreted");
    const bool number = field.find_first_not_of("0123456789") == std::string::npos && field.size() < 10;
    const std::size_t at = field.empty() ? next++ : number ? std::stoull(field) : 0;
    const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& entry) { return entry.first == field; });
    if (number ? at >= arguments.positional.size() : named == arguments.named.end())
      throw Fault("format has no value for {" + field + "}");
    const Value& value = number ? arguments.positional[at] : named->second;
    e.spend(weight_of(value));
    out += text_of(value);
    i = end;
  }
  return e.text(std::move(out), self.markup());
}

Value not_interpreted(Evaluator&, const Value&, Name name, const Arguments&) {
  throw Fault("the method " + name + " is not interpreted");
}

const std::vector<Method>& text_methods() {
  static const std::vector<Method> kMethods = {
      {"capitalize", changed<capitalized>},
      {"casefold", not_interpreted},
      {"center", padded},
      {"count", count},
      {"encode", not_interpreted},
      {"endswith", begins},
      {"expandtabs", not_interpreted},
      {"find", find},
      {"format", format},
      {"format_map", not_interpreted},
      {"index", find},
      {"isalnum", all_are<is_letter_or_digit>},
      {"isalpha", all_are<is_letter>},
      {"isascii", not_interpreted},
      {"isdecimal", all_are<is_digit_point>},
      {"isdigit", all_are<is_digit_point>},
      {"isidentifier", not_interpreted},
      {"islower", in_case<is_lower>},
      {"isnumeric", all_are<is_digit_point>},
      {"isprintable", not_interpreted},
      {"isspace", all_are<is_space>},
      {"istitle", not_interpreted},
      {"isupper", in_case<is_upper>},
      {"join", join},
      {"ljust", padded},
      {"lower", changed<to_lower>},
      {"lstrip", strip},
      {"maketrans", not_interpreted},
      {"partition", partition},
      {"removeprefix", remove_affix},
      {"removesuffix", remove_affix},
      {"replace", replace},
      {"rfind", find},
      {"rindex", find},
      {"rjust", padded},
      {"rpartition", partition},
      {"rsplit", split_text},
      {"rstrip", strip},
      {"split", split_text},
      {"splitlines", splitlines},
      {"startswith", begins},
      {"strip", strip},
      {"swapcase", changed<swapped>},
      {"title", changed<to_title>},
      {"translate", not_interpreted},
      {"upper", changed<to_upper>},
      {"zfill", padded},
  };
  return kMethods;
}

}  // namespace

const Method* find_text_method(const std::string& name) {
  const auto& methods = text_methods();
  const auto found =
      std::lower_bound(methods.begin(), methods.end(), name,
                       [](const Method& method, const std::string& wanted) { return method.name < wanted; });
  return found == methods.end() || found->name != name ? nullptr : &*found;
}

}  // namespace finetune::jinja
