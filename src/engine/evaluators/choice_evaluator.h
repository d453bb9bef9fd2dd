// label_accuracy, macro_f1, multiple_choice and multiple_choice_norm: which of a row's choices is the likeliest.
#pragma once

#include <memory>
#include <vector>

#include "data/choices.h"
#include "engine/evaluators/evaluator.h"

namespace finetune {

/// Sums of log-likelihoods over a choice's tokens, its end token included; `norm` divides by the bytes of its text, as
/// lm-evaluation-harness does for acc_norm. Of equals the first is taken.
std::unique_ptr<Evaluator> make_choice_evaluator(std::vector<ChoiceRow> rows, std::vector<Metric> metrics);

}  // namespace finetune
