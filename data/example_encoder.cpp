#include "data/example_encoder.h"

#include <algorithm>

namespace finetune {
namespace {

using Span = std::pair<std::uint32_t, std::uint32_t>;

void insert(Encoding& encoding, std::size_t at, std::int32_t id, Span span) {
  const auto place = static_cast<std::ptrdiff_t>(at);
  encoding.ids.insert(encoding.ids.begin() + place, id);
  encoding.spans.insert(encoding.spans.begin() + place, span);
  encoding.added.insert(encoding.added.begin() + place, 0);
}

void erase(Encoding& encoding, std::size_t begin, std::size_t end) {
  const auto cut = [&](auto& list) {
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(begin), list.begin() + static_cast<std::ptrdiff_t>(end));
  };
  cut(encoding.ids);
  cut(encoding.spans);
  cut(encoding.added);
}

// The tokens of `id` in [begin, end), all of which the text wrote, become one: the added one in [first, last) where
// there is one.
void merge_marks(Encoding& encoding, std::int32_t id, std::size_t begin, std::size_t end, std::size_t first,
                 std::size_t last) {
  if (begin == end) return;
  const auto found = std::find(encoding.ids.begin() + static_cast<std::ptrdiff_t>(first),
                               encoding.ids.begin() + static_cast<std::ptrdiff_t>(last), id);
  const auto kept = static_cast<std::size_t>(found - encoding.ids.begin());
  if (kept == last) return erase(encoding, begin + 1, end);
  encoding.spans[kept] = encoding.spans[begin];
  encoding.added[kept] = 0;
  erase(encoding, begin, end);
}

}  // namespace

ExampleEncoder::ExampleEncoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {
  const Encoding letter = tokenizer.encode("a", true);
  const auto own = [&](std::size_t i) { return letter.added[i] == 0; };
  while (before_ < letter.ids.size() && !own(before_)) ++before_;
  while (before_ + after_ < letter.ids.size() && !own(letter.ids.size() - 1 - after_)) ++after_;
  if (tokenizer.bos_id || before_ > 0) bos_ = mark_of(tokenizer.bos_id.value_or(letter.ids.front()));
  if (tokenizer.eos_id || after_ > 0) eos_ = mark_of(tokenizer.eos_id.value_or(letter.ids.back()));
}

std::optional<ExampleEncoder::Mark> ExampleEncoder::mark_of(std::int32_t id) const {
  const std::string text = tokenizer_.id_to_token(id);
  if (text.empty()) return std::nullopt;
  return Mark{id, text, tokenizer_.encode(text, false).ids == std::vector{id}};
}

Encoding ExampleEncoder::encode(std::string_view text) const {
  std::string_view rest = text;
  if (bos_ && !bos_->matched) {
    while (rest.starts_with(bos_->text)) rest.remove_prefix(bos_->text.size());
  }
  const auto begin = static_cast<std::uint32_t>(text.size() - rest.size());
  if (eos_ && !eos_->matched) {
    while (rest.ends_with(eos_->text)) rest.remove_suffix(eos_->text.size());
  }
  const auto end = begin + static_cast<std::uint32_t>(rest.size());
  Encoding out = tokenizer_.encode(rest, true);
  for (std::size_t i = 0; i < out.ids.size(); ++i) {
    if (!out.added[i]) out.spans[i] = {out.spans[i].first + begin, out.spans[i].second + begin};
  }
  if (end < text.size()) insert(out, out.ids.size() - after_, eos_->id, {end, static_cast<std::uint32_t>(text.size())});
  if (begin > 0) insert(out, before_, bos_->id, {0, begin});
  if (bos_) begin_once(out);
  if (eos_) end_once(out);
  return out;
}

void ExampleEncoder::begin_once(Encoding& encoding) const {
  const std::size_t end = encoding.ids.size() - after_;
  std::size_t own = before_;
  while (own < end && encoding.ids[own] == bos_->id) ++own;
  merge_marks(encoding, bos_->id, before_, own, 0, before_);
}

void ExampleEncoder::end_once(Encoding& encoding) const {
  const std::size_t end = encoding.ids.size() - after_;
  std::size_t own = end;
  while (own > before_ && encoding.ids[own - 1] == eos_->id) --own;
  merge_marks(encoding, eos_->id, own, end, end, encoding.ids.size());
}

Encoding ExampleEncoder::encode(const Rendered& rendered) const {
  if (!rendered.conversation) return encode(rendered.text);
  const bool has_bos = tokenizer_.bos_id && bos_ && rendered.text.starts_with(bos_->text);
  return tokenizer_.encode(rendered.text, !rendered.complete && !has_bos);
}

}  // namespace finetune
