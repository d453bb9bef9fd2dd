// What a record means: detection of the format, and from record to text with its trained parts.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "data/chat_template.h"
#include "data/dataset.h"

namespace finetune {

struct DetectedFormat {
  std::string name;    ///< text, prompt_completion, alpaca, messages, sharegpt, choices, pattern, preference
  std::string reason;  ///< for people
};

/// From the columns of the first record. Throws Error (bad_input, no location) listing the columns when none fits.
DetectedFormat detect_format(const nlohmann::ordered_json& record, const DataOptions& options);

/// The chat template for a format, or null where it needs none. Throws Error (bad_input, no location) where a
/// conversation has none: `data.template: none`, or `auto` and a checkpoint without one.
std::unique_ptr<ChatTemplate> choose_chat_template(const DataOptions& options, const std::string& format,
                                                   const Tokenizer& tokenizer);

/// `chat_template` may be null; `eos`: the tokenizer's text. Throws Error (bad_input, no location) naming the field
/// that is missing or has the wrong type, or what the template says.
Rendered render_record(const nlohmann::ordered_json& record, const std::string& format,
                       const ChatTemplate* chat_template, const DataOptions& options, const std::string& eos);

}  // namespace finetune
