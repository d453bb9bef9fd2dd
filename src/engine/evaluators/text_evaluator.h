// exact_match, regex_match and command: what the model writes behind each prompt, greedily, judged against the row's
// own answer or by a program.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/prompts.h"
#include "engine/evaluators/evaluator.h"
#include "engine/generate_text.h"

namespace finetune {

struct TextEvaluatorOptions {
  TextOptions texts;
  std::vector<Metric> metrics;
  std::optional<std::string> answer;  ///< data.answer
  std::vector<std::string> command;
  double command_timeout = 60;
};

/// `tokenizer` must outlive it. Throws Error (bad_input) naming the row that has no answer where one is compared, or a
/// prompt that is too long for a model of so many positions.
std::unique_ptr<Evaluator> make_text_evaluator(PromptSet prompts, const Tokenizer& tokenizer, std::int64_t positions,
                                               TextEvaluatorOptions options);

}  // namespace finetune
