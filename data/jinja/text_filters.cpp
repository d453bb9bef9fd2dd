#include "data/jinja/text_filters.h"

#include <algorithm>

#include "data/jinja/filters.h"
#include "data/jinja/printf.h"
#include "data/jinja/printing.h"
#include "data/jinja/unicode.h"

namespace finetune::jinja {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to, long long count) {
  std::string out;
  std::size_t at = 0;
  while (count != 0 && at <= text.size()) {
    const std::size_t found = find_text(text, from, at);
    if (found == std::string_view::npos) break;
    out.append(text, at, found - at);
    out += to;
    at = found + from.size();
    --count;
    if (!from.empty()) continue;
    if (at >= text.size()) return out;
    const std::size_t begin = at;
    next_point(text, at);
    out.append(text, begin, at - begin);
  }
  out.append(text, std::min(at, text.size()), std::string_view::npos);
  return out;
}

namespace {

// soft_str: markup stays markup.
Value soft_text(Evaluator& e, const Value& input) {
  if (input.is_text()) return input;
  e.spend(weight_of(input));
  return e.text(text_of(input));
}

std::string plain_text(Evaluator& e, const Value& input) {
  return soft_text(e, input).bytes();
}

template <std::string (*change)(std::string_view)>
Value changed(Evaluator& e, const Value& input, const Bound&) {
  const Value text = soft_text(e, input);
  return e.text(change(text.bytes()), text.markup());
}

std::string jinja_title(std::string_view text) {
  std::string out, word;
  const auto flush = [&] {
    const std::size_t first = byte_offset(word, 1);
    out += to_upper(std::string_view(word).substr(0, first)) + to_lower(std::string_view(word).substr(first));
    word.clear();
  };
  bool separating = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_point(text, at);
    const bool separates = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    if (separates != separating) flush();
    separating = separates;
    append_point(word, c);
  }
  flush();
  return out;
}

Value trim(Evaluator& e, const Value& input, const Bound& arguments) {
  const Value text = soft_text(e, input);
  const auto* set = arguments.given(0);
  if (set == nullptr) return e.text(std::string(strip_left(strip_right(text.bytes()))), text.markup());
  const std::string& chars = arguments.text(0);
  return e.text(std::string(strip_left(strip_right(text.bytes(), chars), chars)), text.markup());
}

Value replace(Evaluator& e, const Value& input, const Bound& arguments) {
  const std::string from = plain_text(e, *arguments[0]), to = plain_text(e, *arguments[1]);
  const std::string text = plain_text(e, input);
  const std::int64_t count = arguments.given(2) == nullptr ? -1 : arguments.whole(2, -1);
  // The result is paid for before it is made: each match can be a byte that becomes a long text.
  e.spend(static_cast<std::int64_t>((text.size() + 1) / std::max<std::size_t>(1, from.size()) * to.size() / 16));
  return e.text(replaced(text, from, to, count));
}

Value safe(Evaluator& e, const Value& input, const Bound&) {
  return e.text(plain_text(e, input), true);
}

Value escape(Evaluator& e, const Value& input, const Bound&) {
  return input.markup() ? input : e.text(escaped(plain_text(e, input)), true);
}

Value string(Evaluator& e, const Value& input, const Bound&) {
  return soft_text(e, input);
}

Value format(Evaluator& e, const Value& input, const Bound& arguments) {
  const Arguments& all = arguments.all();
  if (!all.named.empty() && !all.positional.empty())
    throw Fault("format takes values by position or by name, not both");
  Dict named;
  for (const auto& [name, value] : all.named) named.set(Value::text(name), value);
  return formatted(e, soft_text(e, input),
                   all.named.empty() ? e.list(all.positional, Sequence::Kind::tuple) : make_dict(std::move(named)));
}

Value indent(Evaluator& e, const Value& input, const Bound& arguments) {
  const Value* width = arguments[0];
  const std::int64_t blanks = width == nullptr || width->is_text() ? 4 : arguments.whole(0, 4);
  if (blanks > 10'000) throw Fault("indent is too wide");
  const std::string indention = width != nullptr && width->is_text()
                                    ? width->bytes()
                                    : std::string(static_cast<std::size_t>(std::max<std::int64_t>(0, blanks)), ' ');
  const bool first = arguments.flag(1, false), blank = arguments.flag(2, false);
  if (!input.is_text()) throw Fault("indent wants a text");
  const std::string text = input.bytes() + "\n";
  const auto lines = split_lines(text, false);
  e.spend(static_cast<std::int64_t>(lines.size() * (1 + indention.size() / 16)));
  std::string out = first ? indention : "";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i > 0 && (blank || !lines[i].empty())) out += indention;
    out += lines[i];
  }
  return e.text(std::move(out), input.markup());
}

Value center(Evaluator& e, const Value& input, const Bound& arguments) {
  const Value text = soft_text(e, input);
  const auto width = arguments.whole(0, 80), size = static_cast<std::int64_t>(count_points(text.bytes()));
  if (width > 1'000'000) throw Fault("center is too wide");
  if (width <= size) return text;
  const std::int64_t blanks = width - size, left = blanks / 2 + (blanks & width & 1);
  return e.text(std::string(static_cast<std::size_t>(left), ' ') + text.bytes() +
                    std::string(static_cast<std::size_t>(blanks - left), ' '),
                text.markup());
}

Value truncate(Evaluator& e, const Value& input, const Bound& arguments) {
  const std::int64_t length = arguments.whole(0, 255),
                     leeway = arguments.given(3) == nullptr ? 5 : arguments.whole(3, 5);
  const std::string end = arguments.text(2, "...");
  const auto end_size = static_cast<std::int64_t>(count_points(end));
  if (!input.is_text()) throw Fault("truncate wants a text");
  if (length < end_size || leeway < 0) throw Fault("truncate wants a length of at least its end's");
  if (static_cast<std::int64_t>(count_points(input.bytes())) <= length + leeway) return input;
  std::string kept = input.bytes().substr(0, byte_offset(input.bytes(), static_cast<std::size_t>(length - end_size)));
  if (!arguments.flag(1, false)) kept = kept.substr(0, kept.rfind(' '));
  return e.text(kept + end);
}

Value wordcount(Evaluator& e, const Value& input, const Bound&) {
  const std::string text = plain_text(e, input);
  std::int64_t words = 0;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const bool word = is_word(next_point(text, at));
    words += word && !inside ? 1 : 0;
    inside = word;
  }
  return {words};
}

Value tojson(Evaluator& e, const Value& input, const Bound& arguments) {
  JsonStyle style{.ascii = arguments.flag(0, false), .sort_keys = arguments.flag(3, false)};
  if (const Value* given = arguments.given(1)) {
    std::int64_t width = 0;
    style.indented = true;
    if (given->is_text())
      style.indent = given->bytes();
    else if (given->whole(width))
      style.indent.assign(static_cast<std::size_t>(std::clamp<std::int64_t>(width, 0, 1000)), ' ');
    else
      throw Fault("tojson: indent is neither a number nor a text");
    style.item_separator = ",";
  }
  if (const Value* separators = arguments.given(2)) {
    const Sequence* both = separators->sequence();
    if (both == nullptr || both->items.size() != 2 || !both->items[0].is_text() || !both->items[1].is_text())
      throw Fault("tojson: separators are not two texts");
    style.item_separator = both->items[0].bytes();
    style.key_separator = both->items[1].bytes();
  }
  const auto per_value = static_cast<std::int64_t>(
      (kDeepest * style.indent.size() + style.item_separator.size() + style.key_separator.size()) / 64);
  e.spend(weight_of(input) * (1 + per_value));
  return e.text(json_of(input, style));
}

}  // namespace

std::span<const FilterEntry> text_filters() {
  static const std::vector<FilterEntry> kFilters = {
      {"capitalize", {}, changed<capitalized>},
      {"center", {{"width"}}, center},
      {"e", {}, escape},
      {"escape", {}, escape},
      {"format", {{}, 0, true}, format},
      {"indent", {{"width", "first", "blank"}}, indent},
      {"lower", {}, changed<to_lower>},
      {"replace", {{"old", "new", "count"}, 2}, replace},
      {"safe", {}, safe},
      {"string", {}, string},
      {"title", {}, changed<jinja_title>},
      {"tojson", {{"ensure_ascii", "indent", "separators", "sort_keys"}}, tojson},
      {"trim", {{"chars"}}, trim},
      {"truncate", {{"length", "killwords", "end", "leeway"}}, truncate},
      {"upper", {}, changed<to_upper>},
      {"wordcount", {}, wordcount},
  };
  return kFilters;
}

}  // namespace finetune::jinja
