// A tokenizer of a few tokens, and what was read as text.
#pragma once

#include <memory>
#include <sstream>
#include <string>

#include "data/dataset.h"
#include "data/tokenizers/json_tokenizer.h"

namespace finetune::testing {

// One token a character, but " x" is one token and "ab" too; 0 unknown, 1 BOS (added in front), 2 EOS.
inline std::unique_ptr<Tokenizer> tiny_tokenizer() {
  std::string vocabulary = R"("<unk>":0,"<s>":1,"</s>":2," ":3," x":4,"ab":5)";
  for (char c = 'a'; c <= 'z'; ++c) vocabulary += std::string(",\"") + c + "\":" + std::to_string(6 + c - 'a');
  auto tokenizer = parse_json_tokenizer(
      "tiny", R"({"added_tokens":[{"id":1,"content":"<s>","special":true},{"id":2,"content":"</s>","special":true}],
    "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[1]}}},
    "model":{"type":"BPE","unk_token":"<unk>","vocab":{)" +
                  vocabulary + R"(},"merges":[[" ","x"],["a","b"]]}})");
  return tokenizer;
}

inline std::unique_ptr<Tokenizer> with_marks() {
  auto tokenizer = tiny_tokenizer();
  tokenizer->bos_id = 1;
  tokenizer->eos_id = 2;
  return tokenizer;
}

// Everything that is said of it, with the examples as text.
inline std::string all_of(const Dataset& data) {
  std::ostringstream out;
  for (const ExampleView example : data.examples) {
    out << example.file << ":" << example.line << ":" << example.loss_bytes;
    for (std::size_t i = 0; i < example.ids.size(); ++i) out << " " << example.ids[i] << (example.loss[i] ? "*" : "");
    out << "\n";
  }
  for (const Reject& reject : data.rejects) out << place_of(data, reject.file, reject.line) << reject.reason << "\n";
  for (const std::string& column : data.unused_columns) out << column << "\n";
  for (const std::int64_t count : {data.records, data.tokens, data.loss_tokens, data.truncated, data.straddling})
    out << count << "\n";
  return out.str();
}

}  // namespace finetune::testing
