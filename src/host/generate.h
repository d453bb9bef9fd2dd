// The library's entry for continuing prompts: the whole of the verb `generate`, free of printing.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "data/prompts.h"
#include "engine/generate_text.h"

namespace finetune {

struct GenerateOptions {
  std::optional<std::string> prompt;  ///< nothing: the rows of data.valid
  bool chat = false;                  ///< each prompt is a user's message
  std::int64_t max_new_tokens = 128;
  std::vector<std::string> stop;
  bool grows = false;  ///< on_row is told of every token, not of whole texts alone
};

struct GenerateHooks {
  std::function<void(const std::string& line)> say;  ///< what was guessed or cut off, for people
  /// What is known of a row as it grows; `done`: the last call for it.
  std::function<void(const PromptSet&, std::size_t row, const Completion& known, bool done)> on_row;
  std::function<bool()> stop = {};  ///< asked after each token: true ends it, and what is done is left
};

struct Generated {
  PromptSet prompts;
  std::vector<std::optional<Completion>> completions;  ///< by row of `prompts`; none where it was ended before
  bool interrupted = false;                            ///< by the user
};

/// Of `config` model.*, data.* as far as they say what a prompt is, and run.*. Throws Error (bad_input) before anything
/// is computed where one of them cannot be used, or a prompt has no place in the model; Interrupted before the first
/// token.
Generated generate(RunConfig config, const GenerateOptions& options, const GenerateHooks& hooks);

/// What messages call a row: "prompts.jsonl:3", or "--prompt".
std::string place_of_prompt(const PromptSet& prompts, std::size_t row);

}  // namespace finetune
