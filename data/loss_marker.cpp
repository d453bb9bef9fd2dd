#include "data/loss_marker.h"

#include <algorithm>

namespace finetune {

LossMarker::LossMarker(const DataOptions& options, const Tokenizer& tokenizer)
    : options_(options), tokenizer_(tokenizer) {
  for (const auto& [name, text] : tokenizer.special_tokens) {
    if (const auto id = tokenizer.token_to_id(text)) special_.push_back(*id);
  }
  for (const auto& id : {tokenizer.bos_id, tokenizer.eos_id}) {
    if (id) special_.push_back(*id);
  }
  std::sort(special_.begin(), special_.end());
}

Example LossMarker::example_of(const Rendered& rendered, const Encoding& encoding) const {
  Example example;
  example.ids = encoding.ids;
  example.loss.assign(example.ids.size(), 0);
  for (std::size_t i = 0; i < example.ids.size(); ++i)
    example.loss[i] = encoding.added[i] == 0 && is_trained(rendered, encoding.spans[i]) ? 1 : 0;
  const bool wants_eos = options_.append_eos && !rendered.conversation && tokenizer_.eos_id;
  if (wants_eos && (example.ids.empty() || example.ids.back() != *tokenizer_.eos_id)) {
    example.ids.push_back(*tokenizer_.eos_id);
    example.loss.push_back(1);
  } else if (wants_eos) {
    example.loss.back() = 1;  // EOS is learned, whoever put it there
  }
  if (!example.loss.empty()) example.loss[0] = 0;  // nothing predicts the first token
  return example;
}

// A token is trained when its last byte lies in a trained part, and for some templates its first one too.
bool LossMarker::is_trained(const Rendered& rendered, Span span) const {
  if (options_.train_on == "all") return true;
  return std::ranges::any_of(rendered.trained, [&](const auto& part) {
    const bool ends_inside = span.second > part.first && span.second <= part.second;
    return ends_inside && (span.first >= part.first || !rendered.whole_tokens);
  });
}

std::int64_t LossMarker::straddling(const Rendered& rendered, const Encoding& encoding) const {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
    const auto [first, last] = encoding.spans[i];
    for (const auto& [begin, end] : rendered.trained)
      count += encoding.added[i] == 0 && last > begin && last <= end && first < begin ? 1 : 0;
  }
  return count;
}

// The bytes of a character that several tokens share count once.
std::int64_t LossMarker::loss_bytes(const Example& example, const Encoding& encoding) const {
  std::int64_t bytes = 0;
  std::uint32_t counted = 0;
  for (std::size_t i = 0; i < std::min(example.ids.size(), encoding.ids.size()); ++i) {
    const auto [first, last] = encoding.spans[i];
    const bool special = std::ranges::binary_search(special_, example.ids[i]);
    if (example.loss[i] == 0 || encoding.added[i] != 0 || special) continue;
    const std::uint32_t from = std::max(first, counted);
    if (last > from) bytes += last - from;
    counted = std::max(counted, last);
  }
  return bytes;
}

}  // namespace finetune
