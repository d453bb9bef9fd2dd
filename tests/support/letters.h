// A tokenizer of letters: one token a character.
#pragma once

#include <memory>
#include <string>

#include "data/tokenizers/json_tokenizer.h"

namespace finetune::testing {

/// 1 BOS (added in front), 2 EOS (added behind where `ends`), 3 and 4 the marks of chatml.
inline std::unique_ptr<Tokenizer> letters_tokenizer(bool ends = false) {
  std::string vocabulary = R"("<unk>":0,"<s>":1,"</s>":2,"<|im_start|>":3,"<|im_end|>":4)";
  const std::string letters = "abcdefghijklmnopqrstuvwxyz .:?\\n";
  std::int32_t id = 5;
  for (std::size_t i = 0; i < letters.size(); ++i, ++id) {
    const std::string text = letters[i] == '\\' ? "\\n" : std::string(1, letters[i]);
    if (letters[i] == '\\') ++i;
    vocabulary += ",\"" + text + "\":" + std::to_string(id);
  }
  std::string added;
  for (const auto& [mark, number] :
       {std::pair{"<s>", 1}, std::pair{"</s>", 2}, std::pair{"<|im_start|>", 3}, std::pair{"<|im_end|>", 4}})
    added += std::string(added.empty() ? "" : ",") + R"({"id":)" + std::to_string(number) + R"(,"content":")" + mark +
             R"(","special":true})";
  const std::string end = ends ? R"(,{"SpecialToken":{"id":"</s>"}})" : "";
  auto made = parse_json_tokenizer(
      "tiny",
      R"({"added_tokens":[)" + added +
          R"(],"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}})" +
          end +
          R"(],"special_tokens":{"<s>":{"ids":[1]},"</s>":{"ids":[2]}}},"model":{"type":"BPE","unk_token":"<unk>","vocab":{)" +
          vocabulary + R"(},"merges":[]}})");
  made->bos_id = 1;
  made->eos_id = 2;
  return made;
}

}  // namespace finetune::testing
