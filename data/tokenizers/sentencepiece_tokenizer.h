// A tokenizer from tokenizer.model through the sentencepiece library, with added tokens cut out first.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/tokenizers/added_tokens.h"
#include "data/tokenizers/tokenizer.h"

namespace finetune {

struct SentencePieceOptions {
  bool add_bos = true, add_eos = false;
  std::vector<AddedToken> added;
};

/// `bytes`: the model file's content. Throws Error (bad_input) naming `where`.
std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(const std::string& where, const std::string& bytes,
                                                        const SentencePieceOptions& options);

}  // namespace finetune
