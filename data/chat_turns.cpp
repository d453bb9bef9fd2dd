#include "data/chat_turns.h"

#include <algorithm>

#include "core/error.h"
#include "data/jinja/unicode.h"

namespace finetune {
namespace {

using jinja::Value;

const std::string kMarker = "\xee\x80\x80";  // U+E000, a private character: no conversation has it

std::size_t common_prefix(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

std::size_t common_suffix(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend()).first - a.rbegin());
}

// Two texts that part inside a mark share its first letters: <|end| of <|endoftext|>. The place before that mark.
std::size_t before_open_mark(std::string_view text, std::size_t at) {
  const std::size_t open = text.substr(0, at).find_last_of("<[");
  return open == std::string_view::npos || text.substr(open, at - open).find_first_of(">]") != std::string_view::npos
             ? at
             : open;
}

std::size_t stripped_size(std::string_view text) {
  return jinja::strip_right(text).size();
}

// The end of a mark, <...> or [...], that begins at `at`; `at` where there is none.
std::size_t mark_end(std::string_view text, std::size_t at) {
  if (at >= text.size() || (text[at] != '<' && text[at] != '[')) return at;
  const std::size_t end = text.find(text[at] == '<' ? '>' : ']', at);
  const std::size_t inner = text.find_first_of(text[at] == '<' ? "<" : "[", at + 1);
  return end == std::string_view::npos || inner < end ? at : end + 1;
}

std::size_t skip_space(std::string_view text, std::size_t at) {
  return text.size() - jinja::strip_left(text.substr(std::min(at, text.size()))).size();
}

// The end of <x> </x> with nothing but white space between, at `at`; or of a lone </x> whose <x> the `prompt` wrote.
// Zero where there is none.
std::size_t empty_block_end(std::string_view text, std::size_t at, std::string_view prompt) {
  const std::size_t open_end = mark_end(text, at);
  if (open_end < at + 3) return 0;
  const std::string opening(text.substr(at, 1)), name(text.substr(at + 1, open_end - at - 1));
  if (name.front() == '/') return prompt.find(opening + name.substr(1)) == std::string_view::npos ? 0 : open_end;
  const std::string closing = opening + "/" + name;
  const std::size_t close = skip_space(text, open_end);
  return text.substr(close).starts_with(closing) ? close + closing.size() : 0;
}

// The end of a mark at `at` that another mark follows, so that it ends a turn and does not begin one; else `at`.
std::size_t ending_mark(std::string_view text, std::size_t at) {
  const std::size_t end = mark_end(text, at), next = skip_space(text, end);
  return mark_end(text, next) > next ? end : at;
}

Value listed_text(const Value& text) {
  jinja::Dict part;
  part.set(Value::text("type"), Value::text("text"));
  part.set(Value::text("text"), text);
  return jinja::make_sequence(jinja::Sequence::Kind::list, {jinja::make_dict(std::move(part))});
}

// Calls of tools by another name, whether it stands in the call or in its function.
Value with_other_names(const Value& calls, const Value& name) {
  std::vector<Value> changed;
  for (const auto& call : calls.sequence() == nullptr ? std::vector<Value>{} : calls.sequence()->items) {
    if (call.dict() == nullptr) continue;
    jinja::Dict copy;
    for (const auto& [key, value] : call.dict()->entries) {
      const bool nested = key.bytes() == "function" && value.dict() != nullptr;
      copy.set(key, nested ? with_other_names(jinja::make_sequence(jinja::Sequence::Kind::list, {value}), name)
                                 .sequence()
                                 ->items.front()
                    : key.bytes() == "name" ? name
                                            : value);
    }
    changed.push_back(jinja::make_dict(std::move(copy)));
  }
  return jinja::make_sequence(jinja::Sequence::Kind::list, std::move(changed));
}

// What both texts begin with is the end of a turn and perhaps the beginning of what follows: without the latter.
std::string_view without_next_mark(std::string_view common) {
  common = common.substr(0, before_open_mark(common, common.size()));
  const std::size_t open = common.find_last_of("<[");
  const bool begins_another = open != std::string_view::npos && mark_end(common, open) == common.size() &&
                              common.substr(0, open).find_first_of(">]") != std::string_view::npos;
  return begins_another ? common.substr(0, open) : common;
}

}  // namespace

TurnFinder::TurnFinder(const RenderMessages& render, const std::vector<Value>& messages, const std::string& text)
    : render_(render), messages_(messages), text_(text) {}

void TurnFinder::refuse(std::size_t i, const std::string& why) const {
  throw bad_input("", "the template does not let the turn of message " + std::to_string(i + 1) +
                          " be told from the rest: " + why +
                          "; mark what is trained with {% generation %} in a template of your own (data.template)");
}

std::vector<Value> TurnFinder::first(std::size_t count) const {
  return {messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(count)};
}

ByteRange TurnFinder::turn(std::size_t i) {
  own_.reset();
  const std::size_t begin = after_empty_block(i, begin_of(i)), end = end_of(i);
  const ByteRange range{begin, std::max(begin, end)};
  previous_end_ = range.second;
  return range;
}

// The same messages, but message `i` says only the marker: in its content, or in the name of a tool that it calls.
std::vector<Value> TurnFinder::with_marker(std::vector<Value> messages, std::size_t i, Change change) const {
  const Value marker = Value::text(kMarker);
  jinja::Dict changed;
  for (const auto& [key, value] : messages[i].dict()->entries) {
    const std::string& name = key.bytes();
    if (name == "tool_calls" && change == Change::call)
      changed.set(key, with_other_names(value, marker));
    else if (name == "content" && change != Change::call)
      changed.set(key, value.sequence() == nullptr ? marker : listed_text(marker));
    else if (name == "role" || change != Change::nothing_else)
      changed.set(key, value);
  }
  if (change != Change::call && changed.find(std::string_view("content")) == nullptr)
    changed.set(Value::text("content"), marker);
  messages[i] = jinja::make_dict(std::move(changed));
  return messages;
}

std::optional<TurnFinder::Difference> TurnFinder::difference(const std::vector<Value>& messages, std::size_t i,
                                                             const std::string& text) const {
  for (const Change change : {Change::content, Change::call, Change::nothing_else}) {
    const auto other = render_(with_marker(messages, i, change), false);
    if (!other || *other == text || other->find(kMarker) == std::string::npos) continue;
    const std::size_t begin = common_prefix(text, *other), most = std::min(text.size(), other->size()) - begin;
    return Difference{begin, text.size() - std::min(common_suffix(text, *other), most)};
  }
  return std::nullopt;
}

const TurnFinder::Difference& TurnFinder::own_difference(std::size_t i) {
  if (!own_) own_ = difference(messages_, i, text_);
  if (!own_) refuse(i, "it reads the same, or is refused, when the message says something else");
  return *own_;
}

// What a generation prompt adds behind the conversation so far; behind a question where that one cannot be rendered.
std::string TurnFinder::generation_prompt(std::size_t i) const {
  jinja::Dict question;
  question.set(Value::text("role"), Value::text("user"));
  question.set(Value::text("content"), Value::text(kMarker));
  for (const auto& before : {first(i), std::vector<Value>{jinja::make_dict(std::move(question))}}) {
    const auto with = render_(before, true), without = render_(before, false);
    if (!with || !without) continue;
    return with->substr(before_open_mark(*with, common_prefix(*with, *without)));
  }
  refuse(i, "the conversation before it cannot be rendered");
}

std::size_t TurnFinder::begin_of(std::size_t i) {
  const auto prompt = render_(first(i), true);
  prompt_ = prompt.value_or("");
  if (prompt && prompt->size() >= previous_end_ && text_.starts_with(*prompt)) return prompt->size();
  // Earlier turns are written differently now, or this one's beginning is: the prompt's text is looked for before the
  // place where this message begins to speak.
  const std::string wanted = generation_prompt(i);
  const std::size_t speaks = own_difference(i).begin;
  if (wanted.empty()) return std::max(previous_end_, speaks);
  std::size_t best = 0, at = speaks;
  for (std::size_t start = speaks + 1; start-- > previous_end_;) {
    const std::size_t shared = common_prefix(std::string_view(text_).substr(start), wanted);
    if (shared > best) {
      best = shared;
      at = start;
    }
  }
  if (best == 0) refuse(i, "its generation prompt does not occur in the text");
  return best == wanted.size() ? at + best : before_open_mark(text_, at + best);
}

// A block that the message itself begins with is the data's, unless the template writes it whatever the message says.
std::size_t TurnFinder::after_empty_block(std::size_t i, std::size_t begin) {
  constexpr std::size_t kLongestMark = 64;  // bytes from the block's beginning to where the prompt ends inside it
  std::size_t end = begin;
  const std::string_view prompt =
      std::string_view(prompt_).substr(prompt_.size() - std::min(prompt_.size(), kLongestMark));
  for (std::size_t at = begin > kLongestMark ? begin - kLongestMark : 0; at < begin; ++at)
    end = std::max(end, empty_block_end(text_, at, ""));
  for (const std::size_t at : {begin, skip_space(text_, begin)})
    end = std::max(end, empty_block_end(text_, at, prompt));
  if (end <= begin) return begin;
  const Value* content = messages_[i].dict()->find(std::string_view("content"));
  const std::size_t open = text_.find_last_of("<[", end - 1);
  const std::string closing = text_.substr(open, end - open);
  if (content != nullptr && content->is_text() && content->bytes().find(closing) != std::string::npos &&
      own_difference(i).begin < end)
    return begin;
  return skip_space(text_, end);
}

std::size_t TurnFinder::end_of(std::size_t i) {
  std::vector<Value> others;
  if (i + 1 < messages_.size()) {
    others = first(i + 1);
  } else {  // how the turn ends when the conversation goes on
    jinja::Dict question;
    question.set(Value::text("role"), Value::text("user"));
    question.set(Value::text("content"), Value::text("?"));
    others = messages_;
    others.push_back(jinja::make_dict(std::move(question)));
  }
  const auto other = render_(others, false);
  const bool ends_here = i + 1 == messages_.size();
  if (!other && ends_here) return stripped_size(text_);
  if (!other) refuse(i, "the conversation up to it cannot be rendered");
  const std::string_view shorter = ends_here ? text_ : *other, longer = ends_here ? *other : text_;
  const std::size_t size = stripped_size(shorter);
  if (size >= previous_end_ && longer.starts_with(shorter.substr(0, size))) {
    const bool marked = size > 0 && (shorter[size - 1] == '>' || shorter[size - 1] == ']');
    return ends_here || marked ? size : ending_mark(text_, size);  // some write the mark only where more follows
  }
  return end_by_tails(i, others, *other, ends_here);
}

// What stands behind the message's own words, once where the conversation ends there and once where it goes on: the
// common beginning is the end of the turn.
std::size_t TurnFinder::end_by_tails(std::size_t i, const std::vector<Value>& others, const std::string& other_text,
                                     bool ends_here) {
  const std::size_t words_end = own_difference(i).end;
  const std::string_view tail = std::string_view(text_).substr(words_end);
  const auto other = difference(others, i, other_text);
  if (!other) refuse(i, "it reads the same when the message says something else");
  const std::string_view other_tail = std::string_view(other_text).substr(other->end);
  const std::string_view ending = ends_here ? tail : other_tail;
  const std::size_t shared = common_prefix(tail, other_tail);
  const std::string_view common = tail.substr(0, shared);
  const std::size_t size = stripped_size(shared >= stripped_size(ending) ? common : without_next_mark(common));
  if (size > 0) return words_end + size;
  return words_end + (ends_here ? stripped_size(tail) : ending_mark(tail, 0));
}

std::vector<std::size_t> message_ends(const RenderMessages& render, const std::vector<Value>& messages,
                                      const std::string& text) {
  std::vector<std::size_t> ends;
  std::size_t last = 0;
  for (std::size_t i = 1; i < messages.size(); ++i) {
    const auto before = render({messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(i)}, false);
    if (before) last = std::max(last, before_open_mark(text, common_prefix(text, *before)));
    ends.push_back(last);
  }
  ends.push_back(text.size());
  return ends;
}

}  // namespace finetune
