// Where the assistant's turns lie in a rendered conversation, told from renderings of its parts: no template says it,
// and many write a turn differently once more turns follow.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/jinja/value.h"

namespace finetune {

/// Text of these messages, with a generation prompt behind them or not; nothing where the template refuses them.
using RenderMessages =
    std::function<std::optional<std::string>(const std::vector<jinja::Value>& messages, bool prompt)>;

using ByteRange = std::pair<std::size_t, std::size_t>;

/// Finds the turns of one conversation, in order.
class TurnFinder {
 public:
  /// `text`: the whole conversation, rendered without a generation prompt. All arguments must outlive this.
  TurnFinder(const RenderMessages& render, const std::vector<jinja::Value>& messages, const std::string& text);

  /// What the template writes for the assistant's message `i`: from the end of the generation prompt of the
  /// conversation so far, and of an empty thinking block that the template itself writes there, to the end of the turn,
  /// its end-of-turn mark included, white space behind it not. Empty where nothing is written. Messages in ascending
  /// order. Throws Error (bad_input, no location) where the turn cannot be told from the rest.
  ByteRange turn(std::size_t i);

 private:
  enum class Change { content, call, nothing_else };  // what says the marker; the last drops all but role and content
  struct Difference {                                 // from a rendering in which this message says something else
    std::size_t begin = 0, end = 0;                   // of what differs
  };
  std::vector<jinja::Value> first(std::size_t count) const;
  std::vector<jinja::Value> with_marker(std::vector<jinja::Value> messages, std::size_t i, Change change) const;
  std::optional<Difference> difference(const std::vector<jinja::Value>& messages, std::size_t i,
                                       const std::string& text) const;
  const Difference& own_difference(std::size_t i);
  std::size_t begin_of(std::size_t i);
  std::size_t after_empty_block(std::size_t i, std::size_t begin);
  std::size_t end_of(std::size_t i);
  std::size_t end_by_tails(std::size_t i, const std::vector<jinja::Value>& others, const std::string& other_text,
                           bool ends_here);
  std::string generation_prompt(std::size_t i) const;
  [[noreturn]] void refuse(std::size_t i, const std::string& why) const;

  const RenderMessages& render_;
  const std::vector<jinja::Value>& messages_;
  const std::string& text_;
  std::size_t previous_end_ = 0;
  std::string prompt_;             // the conversation before the message, with a generation prompt
  std::optional<Difference> own_;  // of the message that is being looked for
};

/// Where each message's text ends, near enough for counting: what the conversation shares with its beginning.
std::vector<std::size_t> message_ends(const RenderMessages& render, const std::vector<jinja::Value>& messages,
                                      const std::string& text);

}  // namespace finetune
