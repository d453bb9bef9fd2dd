// Continuations of prompts as texts, under trials of a pack, or a model and its adapter where it has one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/prompts.h"
#include "engine/evaluators/evaluator.h"
#include "engine/open_model.h"

namespace finetune {

struct TextOptions {
  std::int64_t max_new_tokens = 128;
  std::vector<std::int32_t> end_ids;  ///< a text ends before the first of these
  std::vector<std::string> stop;      ///< and before the first of these texts
  bool grows = false;                 ///< on_text is told of every token, not of whole texts alone
};

struct Completion {
  std::string text;
  std::vector<std::int32_t> ids;  ///< as generated: an end token, and what a stop text cuts off, included
  bool at_last_position = false;  ///< there is no position for another token
  bool ended = false;  ///< by an end token or a stop text; else max_new_tokens or the model's positions were over
};

/// What is known of a row as it grows: of its text whole characters only, and nothing that may yet turn out to be a
/// stop text. `done`: it is the last call for this row.
using OnText = std::function<void(std::size_t row, const Completion& known, bool done)>;

/// What ends a text: the checkpoint's own tokens, and those that the chat template ends an answer with.
std::vector<std::int32_t> end_ids_for(const std::filesystem::path& folder, std::int64_t vocabulary,
                                      const Tokenizer& tokenizer, const PromptSet& prompts);

/// Where the first of the stop texts begins; npos without one.
std::size_t find_stop(const std::string& text, const std::vector<std::string>& stops);

/// Throws Error (bad_input) where a prompt of so many tokens has no place in the model.
void require_position(std::int64_t tokens, std::int64_t positions, const std::string& where);

/// By trial, by row. Every prompt must have a place.
std::vector<std::vector<Completion>> generate_texts(const EvaluatedPack& pack, const Tokenizer& tokenizer,
                                                    std::span<const PromptRow> rows, const TextOptions& options,
                                                    const OnText& on_text = {});

/// Of one model. Greedy, in float32 the ids that transformers' generate(do_sample=False) gives. Throws Error
/// (bad_input) for a prompt that has more tokens than the model has positions, as `where(row)` names it, and
/// Interrupted where `interrupted`, asked after each token, says so.
std::vector<Completion> generate_texts(const OpenedModel& model, std::span<const PromptRow> rows,
                                       const TextOptions& options,
                                       const std::function<std::string(std::size_t row)>& where,
                                       const OnText& on_text = {}, const std::function<bool()>& interrupted = {});

}  // namespace finetune
