#include "data/answer.h"

#include "core/error.h"
#include "data/completion.h"

namespace finetune {

AnswerFinder::AnswerFinder(const std::optional<std::string>& expression) {
  if (!expression) return;
  pattern_ = Pattern::regex("data.answer", *expression);
  if (pattern_->groups() != 1)
    throw bad_input("", "data.answer has " + std::to_string(pattern_->groups()) +
                            " groups; one says what is compared: \"#### (.*)\"");
}

std::optional<std::string> AnswerFinder::find(const std::string& text) const {
  if (!pattern_) return stripped(text);
  const auto found = pattern_->find_group(text, 1);
  return found ? std::optional(stripped(*found)) : std::nullopt;
}

std::vector<std::string> own_answers(const PromptSet& prompts, const AnswerFinder& finder) {
  std::vector<std::string> answers;
  for (std::size_t i = 0; i < prompts.rows.size(); ++i) {
    const std::string& reference = prompts.rows[i].reference;
    if (reference.empty())
      throw bad_input(place_of(prompts, i), "the row has no answer to compare with; give it a completion");
    auto answer = finder.find(reference);
    if (!answer) throw bad_input(place_of(prompts, i), "data.answer finds nothing in " + reference.substr(0, 80));
    answers.push_back(std::move(*answer));
  }
  return answers;
}

std::vector<Pattern> answer_patterns(const PromptSet& prompts, const std::vector<std::string>& answers) {
  std::vector<Pattern> patterns;
  for (std::size_t i = 0; i < answers.size(); ++i) patterns.push_back(Pattern::regex(place_of(prompts, i), answers[i]));
  return patterns;
}

std::string place_of(const PromptSet& prompts, std::size_t row) {
  const PromptRow& prompt = prompts.rows[row];
  return prompts.files.at(static_cast<std::size_t>(prompt.file)) + ":" + std::to_string(prompt.line);
}

}  // namespace finetune
