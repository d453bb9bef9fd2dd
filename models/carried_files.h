// The files of a checkpoint besides weights and config.json that travel with it. Torch-free.
#pragma once

#include <string_view>

namespace finetune {

inline constexpr std::string_view kCarriedFiles[] = {
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json",  "special_tokens_map.json", "added_tokens.json",
    "vocab.json",     "merges.txt",      "generation_config.json", "chat_template.jinja",     "chat_template.json"};

}  // namespace finetune
