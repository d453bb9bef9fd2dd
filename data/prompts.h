// Prompts to be continued: what of a row, or of a text that somebody typed, stands before the answer. It is tokenized
// alone, as whoever serves the model does.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/row_filter.h"
#include "data/tokenizers/tokenizer.h"

namespace finetune {

struct PromptRow {
  std::string text;
  std::vector<std::int32_t> ids;
  std::string reference;  ///< the answer that the row itself has; "" without one
  std::int32_t file = 0;  ///< index into the list of input files
  std::int64_t line = 0;  ///< 1-based line (or record number for .json) it came from
};

struct PromptSet {
  std::vector<std::string> files;
  std::vector<PromptRow> rows;
  std::string format;                   ///< as used
  std::string chat_template;            ///< as used: its name, or file and hash; "" when none
  std::vector<std::int32_t> turn_ends;  ///< tokens with which the template ends an answer
};

/// Of a conversation everything up to its last answer, and what the template writes before an answer; of rows with a
/// prompt the prompt, with or without a completion beside it; of plain text all of it. `chat`: prompts that are no
/// conversation become the user's message of one. Throws Error (bad_input) naming file and line, also for a prompt
/// without a token. Without `wanted` all rows are.
PromptSet load_prompts(const std::vector<std::string>& files, const DataOptions& options, const Tokenizer& tokenizer,
                       bool chat, const RowFilter& wanted = {});

/// The same for one row that is no file's. Throws Error (bad_input, no location).
PromptSet prompt_of(const nlohmann::ordered_json& row, const DataOptions& options, const Tokenizer& tokenizer);

/// The same for one text.
PromptSet prompt_of(const std::string& text, const DataOptions& options, const Tokenizer& tokenizer, bool chat);

}  // namespace finetune
