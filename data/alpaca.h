// Rows of Stanford Alpaca's columns (instruction, input, output; system and history as LLaMA-Factory has them): as a
// conversation for a chat template, or in Alpaca's own prompt where there is none.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/chat.h"
#include "data/dataset.h"

namespace finetune {

struct AlpacaRow {
  std::string system, instruction, input, output;
  std::vector<std::pair<std::string, std::string>> history;  ///< earlier instructions and their answers
};

/// Throws Error (bad_input, no location) naming the column that is missing or of the wrong type. `history`: a list of
/// [instruction, answer] pairs; empty, null and absent are none.
AlpacaRow alpaca_row(const nlohmann::ordered_json& record, const DataOptions& options);

/// System turn, earlier turns, the last question and its answer. All answers carry loss, as in other conversations.
std::vector<Message> alpaca_messages(const AlpacaRow& row);

/// Alpaca's prompt. A system text stands in place of the sentence it begins with; earlier turns come in the same form,
/// each answer ended by `eos`.
Rendered alpaca_text(const AlpacaRow& row, const std::string& eos);

}  // namespace finetune
