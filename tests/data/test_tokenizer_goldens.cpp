// Small tokenizers made by golden/tokenizer_vectors.py: ids, spans and decoded text are the tokenizers library's.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/strict_json.h"
#include "data/tokenizers/json_tokenizer.h"
#include "support/goldens.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::ordered_json;
using Ids = std::vector<std::int32_t>;

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden_path("tokenizers"))) {
    names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class TokenizerGolden : public ::testing::TestWithParam<std::string> {
 protected:
  TokenizerGolden()
      : golden_(read_json_file(golden_path("tokenizers/" + GetParam() + ".json").string())),
        tokenizer_(parse_json_tokenizer(GetParam(), golden_["tokenizer"].dump())) {}
  Json golden_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(TokenizerGolden, IdsAreTheLibrarys) {
  ASSERT_GE(golden_["cases"].size(), 20u);
  for (const auto& one : golden_["cases"]) {
    const auto text = one["text"].get<std::string>();
    EXPECT_EQ(tokenizer_->encode(text, false).ids, one["ids"].get<Ids>()) << one["text"];
    EXPECT_EQ(tokenizer_->encode(text, true).ids, one["special_ids"].get<Ids>()) << one["text"];
  }
}

TEST_P(TokenizerGolden, SpansAreTheLibrarys) {
  for (const auto& one : golden_["cases"]) {
    const Encoding encoding = tokenizer_->encode(one["text"].get<std::string>(), false);
    const auto expected = one["spans"].get<std::vector<std::pair<std::uint32_t, std::uint32_t>>>();
    EXPECT_EQ(encoding.spans, expected) << one["text"];
  }
}

TEST_P(TokenizerGolden, TextIsTheLibrarys) {
  for (const auto& one : golden_["cases"]) {
    EXPECT_EQ(tokenizer_->decode(one["ids"].get<Ids>()), one["decoded"].get<std::string>()) << one["text"];
  }
}

INSTANTIATE_TEST_SUITE_P(Small, TokenizerGolden, ::testing::ValuesIn(golden_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace finetune::testing
