// Which tokens of an example carry loss.
#pragma once

#include <cstdint>
#include <vector>

#include "data/chat.h"
#include "data/dataset.h"
#include "data/example.h"
#include "data/tokenizers/tokenizer.h"

namespace finetune {

class LossMarker {
 public:
  /// Both must outlive this.
  LossMarker(const DataOptions& options, const Tokenizer& tokenizer);

  /// Whole: nothing is cut to data.max_length. An end token is appended as data.append_eos says.
  Example example_of(const Rendered& rendered, const Encoding& encoding) const;
  /// Tokens that cross the border between prompt and completion.
  std::int64_t straddling(const Rendered& rendered, const Encoding& encoding) const;
  /// Example::loss_bytes, of the tokens that the example has; `encoding` is the one that it was made from.
  std::int64_t loss_bytes(const Example& example, const Encoding& encoding) const;

 private:
  using Span = std::pair<std::uint32_t, std::uint32_t>;
  bool is_trained(const Rendered& rendered, Span span) const;

  const DataOptions& options_;
  const Tokenizer& tokenizer_;
  std::vector<std::int32_t> special_;  // ascending
};

}  // namespace finetune
