// What of a text is compared: all of it without white space around it, or what data.answer finds in it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/prompts.h"
#include "data/tokenizers/pattern.h"

namespace finetune {

class AnswerFinder {
 public:
  /// `expression`: data.answer. Throws Error (bad_input) where it is none, or has not one group.
  explicit AnswerFinder(const std::optional<std::string>& expression);
  /// Nothing where the expression finds nothing.
  std::optional<std::string> find(const std::string& text) const;

 private:
  std::optional<Pattern> pattern_;
};

/// The answers that the rows themselves have. Throws Error (bad_input) naming the row that has none.
std::vector<std::string> own_answers(const PromptSet& prompts, const AnswerFinder& finder);

/// The same as regular expressions.
std::vector<Pattern> answer_patterns(const PromptSet& prompts, const std::vector<std::string>& answers);

/// "dev.jsonl:7"
std::string place_of(const PromptSet& prompts, std::size_t row);

}  // namespace finetune
