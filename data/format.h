// What a record means: detection of the format, and from record to text with its trained parts.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "data/chat.h"
#include "data/dataset.h"

namespace finetune {

struct DetectedFormat {
  std::string name;    ///< text, prompt_completion, alpaca, messages, sharegpt, pattern
  std::string reason;  ///< for people
};

/// From the columns of the first record. Throws Error (bad_input, no location) listing the columns when none fits.
DetectedFormat detect_format(const nlohmann::ordered_json& record, const DataOptions& options);

/// The chat template that is used: data.template, the checkpoint's own where it is a known one, or "" (none).
std::string choose_chat_template(const DataOptions& options, const std::string& format, const Tokenizer& tokenizer);

/// Throws Error (bad_input, no location) naming the field that is missing or has the wrong type.
Rendered render_record(const nlohmann::ordered_json& record, const std::string& format,
                       const std::string& chat_template, const DataOptions& options, const std::string& bos,
                       const std::string& eos);

}  // namespace finetune
