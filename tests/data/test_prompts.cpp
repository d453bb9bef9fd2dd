// What of a row stands before the answer.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "core/error.h"
#include "core/files.h"
#include "data/prompts.h"
#include "support/letters.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;

DataOptions chatml() {
  DataOptions options;
  options.chat_template = "chatml";
  return options;
}

PromptSet load(const std::string& content, const DataOptions& options = {}, bool chat = false) {
  const fs::path path = fs::temp_directory_path() / ("finetune_prompts_" + std::to_string(getpid()) + ".jsonl");
  write_file_atomically(path, content);
  const auto remove =
      std::unique_ptr<const fs::path, void (*)(const fs::path*)>(&path, [](auto* p) { fs::remove(*p); });
  return load_prompts({path.string()}, options, *letters_tokenizer(), chat);
}

std::string error_of(const std::string& content, const DataOptions& options = {}) {
  try {
    load(content, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Prompts, OfARowWithAPromptAreThePrompt) {
  const PromptSet set = load(R"({"prompt":"a b:","completion":" c"})"
                             "\n"
                             R"({"prompt":"d"})"
                             "\n");
  ASSERT_EQ(set.rows.size(), 2u);
  EXPECT_EQ(set.rows[0].text, "a b:");
  EXPECT_EQ(set.rows[0].reference, " c");
  EXPECT_EQ(set.rows[0].ids, letters_tokenizer()->encode("a b:", true).ids);
  EXPECT_EQ(set.rows[1].text, "d");
  EXPECT_EQ(set.rows[1].reference, "");
  EXPECT_EQ(set.rows[1].line, 2);
  EXPECT_TRUE(set.turn_ends.empty());
}

TEST(Prompts, OfPlainTextAreAllOfIt) {
  EXPECT_EQ(load(R"({"text":"a b"})").rows[0].text, "a b");
}

TEST(Prompts, OfAPatternStopBeforeTheCompletion) {
  DataOptions options;
  options.has_pattern = true;
  options.prompt = "q {x}:";
  options.completion = " {y}";
  const PromptSet set = load(R"({"x":"a","y":"b"})", options);
  EXPECT_EQ(set.rows[0].text, "q a:");
  EXPECT_EQ(set.rows[0].reference, " b");
}

TEST(Prompts, OfAConversationEndWhereTheLastAnswerBegins) {
  const std::string asked = "<|im_start|>user\na?<|im_end|>\n<|im_start|>assistant\n";
  for (const std::string answer : {R"(,{"role":"assistant","content":"b."})", ""}) {
    const PromptSet set = load(R"({"messages":[{"role":"user","content":"a?"})" + answer + "]}", chatml());
    EXPECT_EQ(set.rows[0].text, asked);
    EXPECT_EQ(set.rows[0].reference, answer.empty() ? "" : "b.");
    EXPECT_EQ(set.turn_ends, Ids{4});
    EXPECT_EQ(set.chat_template, "chatml");
    EXPECT_EQ(set.rows[0].ids, letters_tokenizer()->encode(asked, true).ids);
  }
}

TEST(Prompts, OfALongerConversationHoldTheAnswersBefore) {
  const PromptSet set = load(
      R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]})",
      chatml());
  EXPECT_EQ(set.rows[0].text,
            "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_EQ(set.rows[0].reference, "d");
}

TEST(Prompts, BecomeAUsersMessageWhereChatIsAskedFor) {
  const std::string asked = "<|im_start|>user\na?<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(load(R"({"prompt":"a?","completion":"b"})", chatml(), true).rows[0].text, asked);
  EXPECT_EQ(prompt_of("a?", chatml(), *letters_tokenizer(), true).rows[0].text, asked);
  EXPECT_EQ(prompt_of("a?", chatml(), *letters_tokenizer(), false).rows[0].text, "a?");
}

TEST(Prompts, HaveNoEndThatTheTokenizerPutsThere) {
  EXPECT_EQ(prompt_of("ab", {}, *letters_tokenizer(true), false).rows[0].ids, (Ids{1, 5, 6}));
  EXPECT_EQ(prompt_of("ab</s>", {}, *letters_tokenizer(true), false).rows[0].ids.back(), 2) << "the user wrote it";
}

TEST(Prompts, AreRefusedByLine) {
  EXPECT_NE(error_of(R"({"prompt":"a"})"
                     "\n"
                     R"({"prompt":3.5e)"
                     "\n")
                .find(".jsonl:2"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"nothing":"a"})").find(".jsonl:1"), std::string::npos);
  DataOptions none;
  none.chat_template = "none";
  EXPECT_NE(error_of(R"({"messages":[{"role":"user","content":"a"}]})", none).find("template"), std::string::npos);
}

}  // namespace
}  // namespace finetune::testing
