// A tokenizer from tokenizer.json (or vocab.json + merges.txt), read as the tokenizers library reads it.
#pragma once

#include <memory>
#include <string>

#include "data/tokenizers/tokenizer.h"

namespace finetune {

/// `where`: the file's path, for messages. Throws Error (bad_input) naming the part that cannot be used.
std::unique_ptr<Tokenizer> parse_json_tokenizer(const std::string& where, const std::string& text);

}  // namespace finetune
