// Rows of preferences: every form that a prompt and its answers may have, where answers begin, and what is refused.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "data/dataset.h"
#include "data/prompts.h"
#include "support/letters.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

struct RowFile {
  explicit RowFile(const std::string& rows)
      : path(fs::temp_directory_path() / ("finetune_preference_" + std::to_string(getpid()) + ".jsonl")) {
    write_file_atomically(path, rows);
  }
  ~RowFile() { fs::remove(path); }
  fs::path path;
};

DataOptions options_for(const std::string& objective) {
  DataOptions options;
  options.objective = objective;
  options.chat_template = "chatml";
  return options;
}

Dataset load(const std::string& rows, const DataOptions& options) {
  const RowFile file(rows);
  return load_dataset({file.path.string()}, options, *letters_tokenizer());
}

std::string refusal(const std::string& rows, const DataOptions& options) {
  try {
    load(rows, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// The sequences of an example as texts, [brackets] around what carries loss.
std::vector<std::string> shown(const ExampleView& example) {
  const auto tokenizer = letters_tokenizer();
  std::vector<std::string> texts;
  std::size_t begin = 0;
  for (const std::int64_t end : example.ends) {
    std::string text;
    for (std::size_t i = begin; i < static_cast<std::size_t>(end); ++i) {
      const bool before = i > begin && example.loss[i - 1] != 0;
      if (example.loss[i] != 0 && !before) text += "[";
      if (example.loss[i] == 0 && before) text += "]";
      text += tokenizer->decode(std::vector{example.ids[i]});
    }
    texts.push_back(text + (example.loss[static_cast<std::size_t>(end) - 1] != 0 ? "]" : ""));
    begin = static_cast<std::size_t>(end);
  }
  return texts;
}

using Texts = std::vector<std::string>;

constexpr const char* kPair = R"({"prompt": "ab", "chosen": "c", "rejected": "dd"})";

TEST(Preference, APairIsOneExampleOfTwoSequences) {
  const Dataset data = load(kPair, options_for("dpo"));
  EXPECT_EQ(data.format, "preference");
  ASSERT_EQ(data.examples.size(), 1u);
  const ExampleView example = data.examples[0];
  EXPECT_EQ(shown(example), (Texts{"<s>ab[c</s>]", "<s>ab[dd</s>]"}));
  EXPECT_EQ(example.ends, (std::vector<std::int64_t>{5, 11}));
  EXPECT_EQ(example.answers, (std::vector<std::int64_t>{3, 8}));
  EXPECT_EQ(data.tokens, 11);
}

// The chosen sequence is learned whole; where its answer begins is known all the same.
TEST(Preference, OrpoLearnsTheChosenPromptToo) {
  const Dataset data = load(kPair, options_for("orpo"));
  const ExampleView example = data.examples[0];
  EXPECT_EQ(shown(example), (Texts{"<s>[abc</s>]", "<s>ab[dd</s>]"}));
  EXPECT_EQ(example.answers, (std::vector<std::int64_t>{3, 8}));
}

TEST(Preference, ConversationsComeToTheSameInEveryForm) {
  const Texts forms{
      R"({"prompt": [{"role": "user", "content": "q"}], "chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"role": "assistant", "content": "b"}]})",
      R"({"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]})",
      R"({"prompt": "q", "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]})",
      R"({"prompt": "q", "chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"role": "assistant", "content": "b"}]})",
      R"({"prompt": [{"role": "user", "content": "q"}], "chosen": "a", "rejected": "b"})",
      R"({"conversations": [{"from": "human", "value": "q"}], "chosen": {"from": "gpt", "value": "a"}, "rejected": {"from": "gpt", "value": "b"}})",
      R"({"instruction": "q", "input": "", "output": "a", "chosen": "a", "rejected": "b"})"};
  for (const std::string& form : forms) {
    SCOPED_TRACE(form);
    const Dataset data = load(form, options_for("dpo"));
    const ExampleView example = data.examples[0];
    const std::string prompt = "<s><|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n";
    // Cut behind the answer: what a template writes after it is of no use.
    EXPECT_EQ(shown(example), (Texts{prompt + "[a<|im_end|>]", prompt + "[b<|im_end|>]"}));
  }
}

// Earlier answers are a part of the prompt.
TEST(Preference, OnlyTheLastAnswerIsCompared) {
  const Dataset data = load(
      R"({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "r"}, {"from": "human", "value": "s"}], "chosen": {"from": "gpt", "value": "a"}, "rejected": {"from": "gpt", "value": "b"}})",
      options_for("dpo"));
  const ExampleView example = data.examples[0];
  for (const std::string& text : shown(example))
    EXPECT_EQ(text.find('['), text.find("[" + text.substr(text.find('[') + 1)));
  EXPECT_EQ(example.loss_tokens(), 4) << "a letter and the end of the turn, twice";
}

TEST(Preference, LabelledAnswersInEveryForm) {
  const std::string rows = R"({"prompt": "ab", "completion": "c", "label": true})"
                           "\n"
                           R"({"prompt": "ab", "completion": "d", "label": false})";
  const Dataset texts = load(rows, options_for("kto"));
  EXPECT_EQ(shown(texts.examples[0]), (Texts{"<s>ab[c</s>]"}));
  EXPECT_TRUE(texts.examples[0].desirable);
  EXPECT_FALSE(texts.examples[1].desirable);
  for (
      const char* row :
      {R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "label": false})",
       R"({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "label": false})",
       R"({"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}], "label": false})",
       R"({"instruction": "q", "output": "a", "label": false})"}) {
    SCOPED_TRACE(row);
    const Dataset data = load(row, options_for("kto"));
    const ExampleView example = data.examples[0];
    EXPECT_EQ(shown(example), (Texts{"<s><|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[a<|im_end|>]"}));
    EXPECT_FALSE(example.desirable);
  }
}

// Each sequence has data.max_length tokens at most; a prompt that fills them leaves nothing to compare.
TEST(Preference, SequencesAreCutOneByOne) {
  DataOptions options = options_for("dpo");
  options.max_length = 5;
  const Dataset cut = load(R"({"prompt": "ab", "chosen": "cccc", "rejected": "d"})", options);
  EXPECT_EQ(shown(cut.examples[0]), (Texts{"<s>ab[cc]", "<s>ab[d</s>]"}));
  EXPECT_EQ(cut.truncated, 1);
  options.max_length = 3;
  const Dataset none = load(std::string(kPair), options);
  EXPECT_EQ(none.dropped_no_loss, 1);
  EXPECT_EQ(none.truncated, 1) << "of examples";
}

TEST(Preference, APromptIsContinuedAsItStands) {
  const RowFile file(kPair);
  const PromptSet set = load_prompts({file.path.string()}, options_for("dpo"), *letters_tokenizer(), false);
  ASSERT_EQ(set.rows.size(), 1u);
  EXPECT_EQ(set.rows[0].text, "ab");
  EXPECT_EQ(set.rows[0].reference, "c");
}

struct Refusal {
  const char *objective, *row, *says;
};

TEST(Preference, WhatIsNotUnderstoodIsRefusedByName) {
  const Refusal refusals[] = {
      {"sft", kPair, "rows of preferences"},
      {"dpo", R"({"prompt": "a", "completion": "b", "label": true})", "data for kto"},
      {"dpo", R"({"prompt": "a", "completion": "b"})", "chosen and rejected"},
      {"kto", kPair, "pairs are data for dpo"},
      {"kto", R"({"prompt": "a", "completion": "b"})", "column label"},
      {"kto", R"({"prompt": "a", "completion": "b", "label": 2})", "label is 2; it must be true or false, or 1 or 0"},
      {"kto", R"({"prompt": "a", "completion": "b", "label": "yes"})", "it must be true or false"},
      {"kto", R"({"prompt": "a", "completion": " ", "label": true})", "completion is empty"},
      {"dpo", R"({"prompt": "a", "chosen": "", "rejected": "b"})", "chosen is empty"},
      {"dpo", R"({"prompt": "a", "chosen": "b", "rejected": "b"})", "are the same"},
      {"dpo", R"({"prompt": "a", "chosen": 3, "rejected": "b"})", "chosen is neither a text nor messages"},
      {"dpo", R"({"prompt": 3, "chosen": "c", "rejected": "b"})", "prompt is neither a text nor messages"},
      {"dpo", R"({"chosen": "c", "rejected": "b"})", "prompt is missing"},
      {"dpo", R"({"prompt": "a", "chosen": [{"role": "assistant", "content": "c"}], "rejected": "b"})",
       "rejected is not a list of messages"},
      {"dpo",
       R"({"prompt": [{"role": "user", "content": "q"}], "chosen": {"role": "user", "content": "c"}, "rejected": "b"})",
       "chosen is no answer of the assistant"},
      {"dpo",
       R"({"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "t"}], "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]})",
       "chosen has 2 messages behind the prompt"},
      {"dpo",
       R"({"prompt": "z", "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]})",
       "are not the prompt of the row"}};
  for (const Refusal& one : refusals) {
    SCOPED_TRACE(std::string(one.objective) + " " + one.row);
    const std::string said = refusal(one.row, options_for(one.objective));
    EXPECT_NE(said.find(one.says), std::string::npos) << said;
    EXPECT_NE(said.find(".jsonl:1"), std::string::npos) << said;
  }
  // Of a later row too.
  const std::string said = refusal(std::string(kPair) + "\n" + R"({"prompt": "a", "chosen": "b"})", options_for("dpo"));
  EXPECT_NE(said.find(".jsonl:2"), std::string::npos) << said;
}

TEST(Preference, AFormatOfTextsIsNotForIt) {
  DataOptions options = options_for("dpo");
  options.format = "alpaca";
  EXPECT_NE(refusal(kPair, options).find("data.format preference, not from alpaca"), std::string::npos);
  options.objective = "sft";
  options.format = "prompt_completion";  // what the rows are beside that
  EXPECT_EQ(load(R"({"prompt": "a", "completion": "x", "chosen": "b", "rejected": "c"})", options).examples.size(), 1u);
}

}  // namespace
}  // namespace finetune::testing
