// Rows whose answer is one of several: how choices are written behind a prompt, and which one is right.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "core/error.h"
#include "core/files.h"
#include "data/choices.h"
#include "data/completion.h"
#include "support/letters.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Texts = std::vector<std::string>;

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class File {
 public:
  explicit File(const std::string& content)
      : path_(fs::temp_directory_path() / ("finetune_choices_" + std::to_string(getpid()) + ".jsonl")) {
    write_file_atomically(path_, content);
  }
  ~File() { fs::remove(path_); }
  std::vector<std::string> files() const { return {path_.string()}; }
  std::string name() const { return path_.string(); }

 private:
  fs::path path_;
};

ChoiceSet load(const std::string& content, const Texts& labels, const DataOptions& options = {}) {
  const File file(content);
  return load_choices(file.files(), options, *letters_tokenizer(), {}, labels);
}

std::string text_of(const std::vector<std::int32_t>& ids) {
  return letters_tokenizer()->decode(ids);
}

struct Answered {
  const char* format;
  Json record;
  std::string completion, replaced;  // the same with "x y" for its answer
};

std::vector<Answered> answered_rows() {
  return {
      {"prompt_completion", Json::parse(R"({"prompt":"p","completion":" a "})"), " a ", " x y "},
      {"alpaca", Json::parse(R"({"instruction":"i","output":"a"})"), "a", "x y"},
      {"messages", Json::parse(R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a\n"}]})"),
       "a\n", "x y\n"},
      {"sharegpt", Json::parse(R"({"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]})"), "a",
       "x y"},
      {"choices", Json::parse(R"({"prompt":"p","choices":["b","a"],"answer":1})"), "a", "x y"},
  };
}

TEST(Completion, IsReadAndReplacedInEveryFormat) {
  for (const Answered& row : answered_rows()) {
    EXPECT_EQ(completion_of(row.record, row.format, {}), row.completion) << row.format;
    const AnsweredRow made = with_completion(row.record, row.format, {}, "x y");
    EXPECT_EQ(completion_of(made.record, row.format, made.options), row.replaced) << row.format;
  }
}

TEST(Completion, OfAPatternMayHoldBraces) {
  DataOptions options;
  options.has_pattern = true;
  options.prompt = "{q}:";
  options.completion = " {a}";
  const Json record{{"q", "what"}, {"a", "b"}};
  EXPECT_EQ(completion_of(record, "pattern", options), " b");
  const AnsweredRow made = with_completion(record, "pattern", options, "{q}");
  EXPECT_EQ(completion_of(made.record, "pattern", made.options), " {q}");
}

TEST(Completion, OfPlainTextIsRefused) {
  EXPECT_NE(error_of([] { completion_of(Json{{"text", "t"}}, "text", {}); }).find("have no answer"), std::string::npos);
}

TEST(Choices, OfARowAreFoundByTextLabelAndIndex) {
  const auto right = [](const Json& choices, const Json& answer) {
    return choices_of({{"choices", choices}, {"answer", answer}}, {}).right;
  };
  EXPECT_EQ(right({"a", "b", "c"}, "b"), 1u);
  EXPECT_EQ(right({"a", "b", "c"}, 2), 2u);
  EXPECT_EQ(right({"a", "b", "c"}, "2"), 2u) << "an index may be written as a text";
  EXPECT_EQ(right({"8", "2", "24"}, 2), 2u) << "a number is an index whatever the choices are";
  EXPECT_EQ(right({"8", "2", "24"}, "2"), 1u) << "a text is a choice";
  const Json labelled{{"text", {"x", "y"}}, {"label", {"A", "B"}}};
  EXPECT_EQ(right(labelled, "B"), 1u);
  const Json numbered = Json::parse(R"({"text":["x","y","z"],"label":["1","2","3"]})");
  EXPECT_EQ(right(numbered, "1"), 0u);
  EXPECT_EQ(right(numbered, 3), 2u) << "there is no index 3";
  EXPECT_NE(error_of([&] { right(numbered, 1); }).find("the label of one choice and the index of another"),
            std::string::npos);
  for (const Json& answer : {Json("d"), Json(3), Json(-1), Json(1.5), Json("99999999999999999999999")})
    EXPECT_NE(error_of([&] { right({"a", "b", "c"}, answer); }).find("none of the row's 3 choices"), std::string::npos);
}

TEST(Choices, ThatAreNoChoiceAreRefusedByWhatIsWrong) {
  const auto error = [](const char* choices) {
    return error_of([&] { choices_of({{"choices", Json::parse(choices)}, {"answer", 0}}, {}); });
  };
  EXPECT_EQ(error(R"(["a"])"), "field choices has a single choice");
  EXPECT_EQ(error(R"([])"), "field choices is empty");
  EXPECT_EQ(error(R"(["a", " "])"), "field choices has an empty choice");
  EXPECT_EQ(error(R"(["a", "b", "a "])"), "field choices has \"a\" twice");
  EXPECT_EQ(error(R"({"text":["a","b"],"label":["A"]})"), "field choices has 2 texts and 1 labels");
  EXPECT_EQ(error(R"({"text":["a","b"],"label":["A","A"]})"), "field choices.label has \"A\" twice");
  EXPECT_EQ(error(R"({"text":["a","b"]})"), "field choices is neither a list of texts nor {text: [...], label: [...]}");
}

TEST(Choices, StandBehindThePromptAfterASpaceAndEndLikeTrainedOnes) {
  const ChoiceSet set = load(R"({"prompt":"is it:","choices":["a b","c"],"answer":"c"})"
                             "\n",
                             {});
  ASSERT_EQ(set.rows.size(), 1u);
  const ChoiceRow& row = set.rows[0];
  EXPECT_EQ(row.right, 1u);
  EXPECT_EQ(row.bytes, (std::vector<std::int64_t>{3, 1}));
  ASSERT_EQ(row.continuations.size(), 2u);
  for (const auto& next : row.continuations) EXPECT_EQ(next.back(), 2) << "the end token is part of it";
  std::vector<std::int32_t> whole = row.prompt;
  whole.insert(whole.end(), row.continuations[0].begin(), row.continuations[0].end());
  EXPECT_EQ(text_of(whole), text_of(letters_tokenizer()->encode("<s>is it: a b</s>", false).ids));
}

// Every label is written as the row's own completion is, so the right one is the training example, token by token.
TEST(Choices, TheRightLabelIsTheTrainingExample) {
  const std::string line = R"({"prompt":"good","completion":" pos"})";
  const ChoiceSet set = load(line + "\n", {"neg", "pos"});
  const File file(line + "\n");
  const Dataset data = load_dataset(file.files(), {}, *letters_tokenizer());
  const ExampleView example = data.examples.front();
  ASSERT_EQ(set.rows.size(), 1u);
  std::vector<std::int32_t> whole = set.rows[0].prompt;
  whole.insert(whole.end(), set.rows[0].continuations[1].begin(), set.rows[0].continuations[1].end());
  EXPECT_EQ(example.ids, whole);
  EXPECT_EQ(set.rows[0].right, 1u);
}

TEST(Choices, OfAConversationEndWithItsTurn) {
  DataOptions options;
  options.chat_template = "chatml";
  const ChoiceSet set = load(R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"yes"}]})"
                             "\n",
                             {"yes", "no"}, options);
  ASSERT_EQ(set.rows.size(), 1u);
  EXPECT_EQ(set.rows[0].continuations[0].back(), 4) << "the line break behind it is no part of the answer";
  EXPECT_EQ(text_of(set.rows[0].continuations[1]), text_of(letters_tokenizer()->encode("no<|im_end|>", false).ids));
}

TEST(Choices, ARowWithoutThemIsRefusedByLine) {
  const std::string lines = R"({"prompt":"p","completion":"a"})"
                            "\n"
                            R"({"prompt":"p","completion":"z"})"
                            "\n";
  const std::string error = error_of([&] { load(lines, {"a", "b"}); });
  EXPECT_NE(error.find(".jsonl:2: "), std::string::npos) << error;
  EXPECT_NE(error.find("the completion z is none of the labels a, b"), std::string::npos) << error;
  EXPECT_NE(error_of([&] { load(lines, {}); }).find("has no column choices"), std::string::npos);
}

TEST(Choices, ThoseTooLongAreLeftOutAndCounted) {
  DataOptions options;
  options.max_length = 6;
  const ChoiceSet set = load(R"({"prompt":"p","completion":"a"})"
                             "\n"
                             R"({"prompt":"a long one","completion":"a"})"
                             "\n",
                             {"a", "b"}, options);
  EXPECT_EQ(set.rows.size(), 1u);
  EXPECT_EQ(set.too_long, 1);
  EXPECT_EQ(load(R"({"prompt":"p","completion":"a"})"
                 "\n",
                 {"a", "a long one"}, options)
                .too_long,
            1)
      << "with one of the choices";
}

// Earlier answers are part of the question, as they are in training.
TEST(Choices, OfALongerConversationAreItsLastAnswer) {
  DataOptions options;
  options.chat_template = "chatml";
  const ChoiceSet set = load(
      R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"no"},{"role":"user","content":"r"},)"
      R"({"role":"assistant","content":"yes"}]})"
      "\n",
      {"yes", "no"}, options);
  ASSERT_EQ(set.rows.size(), 1u);
  EXPECT_EQ(text_of(set.rows[0].continuations[0]), text_of(letters_tokenizer()->encode("yes<|im_end|>", false).ids));
  EXPECT_NE(text_of(set.rows[0].prompt).find("n o <|im_end|>"), std::string::npos) << text_of(set.rows[0].prompt);
}

// What two answers begin with alike is part of both: by bytes of the choice it counts.
TEST(Choices, KeepWhatTheyBeginWith) {
  const ChoiceSet set = load(R"({"prompt":"p: ","choices":["abc","abd"],"answer":0})"
                             "\n",
                             {});
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_NE(text_of(set.rows.at(0).continuations.at(i)).find(i == 0 ? "a b c" : "a b d"), std::string::npos)
        << text_of(set.rows[0].continuations[i]);
}

TEST(Choices, AreMeasuredWithoutTheSpaceAroundThem) {
  const ChoiceSet set = load(R"({"prompt":"p:","choices":[" a b ","c\n"],"answer":1})"
                             "\n",
                             {});
  EXPECT_EQ(set.rows.at(0).bytes, (std::vector<std::int64_t>{3, 1}));
}

// A label that no row has is a slip most likely; a broken row is named by whoever needs its answer.
TEST(Choices, LabelsThatNoRowHasAreFound) {
  const File file(Json{{"prompt", "p"}, {"completion", " no"}}.dump() + "\nbroken\n" +
                  Json{{"prompt", "p"}, {"completion", "yes "}}.dump() + "\n");
  EXPECT_EQ(unseen_labels({"yes", "no", "mabye"}, file.files(), {}), Texts{"mabye"});
  EXPECT_TRUE(unseen_labels({" yes", "no"}, file.files(), {}).empty()) << "white space around them aside";
}

TEST(Choices, DistinctCompletionsComeInOrderOfAppearance) {
  std::string lines;
  for (const char* text : {" no", "yes", "no ", "maybe"})
    lines += Json{{"prompt", "p"}, {"completion", text}}.dump() + "\n";
  const File file(lines);
  EXPECT_EQ(distinct_completions(file.files(), {}, 100), (Texts{"no", "yes", "maybe"}));
  EXPECT_EQ(distinct_completions(file.files(), {}, 1).size(), 2u) << "one more than asked for says that there are more";
}

}  // namespace
}  // namespace finetune::testing
