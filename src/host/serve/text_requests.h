// `sample` as JSON: prompts as texts, conversations or ids, and what becomes of them as text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/service.h"
#include "engine/session.h"
#include "host/serve/fields.h"

namespace finetune {

struct TextRequest {
  SampleRequest sample;
  std::vector<std::int32_t> end_ids;  ///< a text ends before the first of these
  std::vector<std::string> stop;      ///< and before the first of these texts
};

/// {"prompts", "n", "max_new_tokens", "temperature", "top_p", "top_k", "seed", "stop"}. A prompt is a text,
/// {"messages": [...]} in the chat template, or {"ids": [...]}. max_new_tokens that are asked for must have a place in
/// the model behind each. Throws Error (bad_input, no location) naming the field.
TextRequest text_request(Fields& fields, std::optional<std::int64_t> slot, const Session& session);

/// {"text", "ids", "ended"}: the text without its end, all tokens, and whether it came to an end of its own.
nlohmann::ordered_json text_json(const TextRequest& request, const std::vector<std::int32_t>& ids,
                                 const Session& session);

}  // namespace finetune
