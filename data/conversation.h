// Conversations in rows: messages as OpenAI writes them, ShareGPT's, and those that Alpaca's columns stand for.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/chat.h"
#include "data/dataset.h"

namespace finetune {

struct Conversation {
  nlohmann::ordered_json messages;  ///< objects with a text `role`; whatever else they hold is the template's
  std::vector<bool> trained;        ///< by message: false keeps an assistant's turn out of the loss
  nlohmann::ordered_json columns;   ///< other columns of the row, for the template
};

/// Of a row in format `messages` or `sharegpt` (whose from and value become role and content, under the roles' usual
/// names). A column `system` becomes the first message where there is no system message. The marks `weight` (0 or 1;
/// also `loss_weight`) and `train` (true or false) leave an assistant's message out. Throws Error (bad_input, no
/// location) naming the message that is wrong.
Conversation conversation_of(const nlohmann::ordered_json& record, const std::string& format,
                             const DataOptions& options);

Conversation conversation_of(const std::vector<Message>& messages);

/// The role under the name that templates use: human is user, gpt, model and bot are assistant.
std::string standard_role(const std::string& role);

}  // namespace finetune
