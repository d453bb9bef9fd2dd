// Rows of preferences: a prompt with a chosen and a rejected answer, or (kto) with one answer and a label. Texts,
// Alpaca's columns or messages; whatever form, a row comes to answers that stand behind one prompt.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/chat_template.h"
#include "data/conversation.h"
#include "data/dataset.h"

namespace finetune {

/// Either a conversation, whose last message is the answer, or two texts.
struct PreferenceAnswer {
  std::optional<Conversation> conversation;  ///< only its last message is trained
  std::string prompt, answer;
};

struct PreferenceRow {
  std::vector<PreferenceAnswer> answers;  ///< chosen and rejected, or one
  bool desirable = true;                  ///< the label of one
};

/// DataOptions::objective learns from pairs, or from labelled answers.
bool learns_from_pairs(const DataOptions& options);
bool learns_from_labels(const DataOptions& options);

/// Why a row has the format `preference`. Throws Error (bad_input, no location) where it is none, or another than the
/// objective learns from.
std::string preference_reason(const nlohmann::ordered_json& record, const DataOptions& options);

/// The format that the row's prompt has by itself: prompt_completion, alpaca or messages.
std::string preference_style(const nlohmann::ordered_json& record, const DataOptions& options);

/// `chat_template` null: Alpaca's columns become its own text (`eos`: the tokenizer's), and conversations are refused.
/// The prompt is the column prompt (a text or messages), conversations or messages, Alpaca's columns, or absent where
/// both answers are conversations that share their beginning. An answer is a text, a message, or such a conversation.
/// Throws Error (bad_input, no location) naming the field that is missing, empty or not understood.
PreferenceRow preference_row(const nlohmann::ordered_json& record, const ChatTemplate* chat_template,
                             const DataOptions& options, const std::string& eos);

/// Text and trained part of an answer.
Rendered render_answer(const PreferenceAnswer& answer, const ChatTemplate* chat_template, bool by_role);

}  // namespace finetune
