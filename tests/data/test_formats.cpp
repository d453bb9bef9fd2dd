// What becomes of the columns of a record: alpaca rows with system and history, and columns that a format has no use
// or no place for.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "data/alpaca.h"
#include "data/dataset_notes.h"
#include "data/format.h"
#include "data/unused_columns.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::ordered_json;
using Names = std::vector<std::string>;

// No checkpoint: BOS and EOS are texts, nothing is encoded.
struct Marks : Tokenizer {
  Marks() { bos_id = 1, eos_id = 2; }
  Encoding encode(std::string_view, bool) const override { return {}; }
  std::string decode(std::span<const std::int32_t>) const override { return ""; }
  std::int64_t vocab_size() const override { return 3; }
  std::optional<std::int32_t> token_to_id(std::string_view) const override { return std::nullopt; }
  std::string id_to_token(std::int32_t id) const override { return id == 1 ? "<s>" : "</s>"; }
};

// `chat_template`: a name, or "" for none.
Rendered render(const Json& record, const std::string& chat_template = "", const DataOptions& options = {}) {
  const auto chat = chat_template.empty() ? nullptr : open_chat_template(chat_template, "2024-07-26", Marks());
  return render_record(record, detect_format(record, options).name, chat.get(), options, "</s>");
}

Rendered render(const std::string& record, const std::string& chat_template = "", const DataOptions& options = {}) {
  return render(Json::parse(record), chat_template, options);
}

// The parts of the text that carry loss.
Names trained(const Rendered& rendered) {
  Names parts;
  for (const auto& [begin, end] : rendered.trained) parts.push_back(rendered.text.substr(begin, end - begin));
  return parts;
}

template <typename Work>
std::string error_of(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

const std::string kPlain = R"("instruction":"Name a colour.","output":"Red.")";

TEST(Alpaca, SystemTakesThePlaceOfTheFirstSentence) {
  const Rendered plain = render("{" + kPlain + "}"), with = render("{" + kPlain + R"(,"system":"Be brief."})");
  EXPECT_TRUE(plain.text.starts_with("Below is an instruction that describes a task. Write")) << plain.text;
  EXPECT_EQ(with.text, "Be brief.\n\n### Instruction:\nName a colour.\n\n### Response:\nRed.");
  EXPECT_EQ(trained(with), Names{"Red."});
  const std::string input = R"(,"input":"of the sea"})";
  EXPECT_EQ(render("{" + kPlain + R"(,"system":"Be brief.")" + input).text,
            "Be brief.\n\n### Instruction:\nName a colour.\n\n### Input:\nof the sea\n\n### Response:\nRed.");
  EXPECT_TRUE(render("{" + kPlain + input).text.find("paired with an input") != std::string::npos);
}

TEST(Alpaca, HistoryIsEarlierTurns) {
  const std::string row = "{" + kPlain + R"(,"history":[["Hi.","Hello."],["Name a fruit.","A pear."]]})";
  const Rendered text = render(row);
  EXPECT_TRUE(
      text.text.ends_with("### Instruction:\nHi.\n\n### Response:\nHello.</s>\n\n"
                          "### Instruction:\nName a fruit.\n\n### Response:\nA pear.</s>\n\n"
                          "### Instruction:\nName a colour.\n\n### Response:\nRed."))
      << text.text;
  EXPECT_EQ(trained(text), (Names{"Hello.</s>", "A pear.</s>", "Red."}));
  const Rendered chat = render(row, "plain");
  EXPECT_EQ(trained(chat).size(), 3u);
  EXPECT_LT(chat.text.find("A pear."), chat.text.find("Name a colour."));
  for (const char* none : {"null", "[]", "\"\""})
    EXPECT_EQ(render("{" + kPlain + R"(,"history":)" + none + "}").text, render("{" + kPlain + "}").text) << none;
}

TEST(Alpaca, ChatTemplatesGetSystemAndHistory) {
  const DataOptions renamed{.fields = {{"system", "role_play"}, {"history", "before"}}};
  const Rendered chat =
      render("{" + kPlain + R"(,"role_play":"You are a parrot.","before":[["Hi.","Squawk."]]})", "chatml", renamed);
  EXPECT_EQ(chat.text,
            "<|im_start|>system\nYou are a parrot.<|im_end|>\n<|im_start|>user\nHi.<|im_end|>\n"
            "<|im_start|>assistant\nSquawk.<|im_end|>\n<|im_start|>user\nName a colour.<|im_end|>\n"
            "<|im_start|>assistant\nRed.<|im_end|>\n");
}

TEST(Alpaca, RefusesAHistoryThatIsNone) {
  for (const char* bad : {R"("a text")", "[1]", R"([["one"]])", R"([["a","b","c"]])", R"([["a",1]])", R"({"a":"b"})"}) {
    EXPECT_EQ(error_of([&] { render("{" + kPlain + R"(,"history":)" + bad + "}"); }),
              "field history is not a list of [instruction, answer] pairs")
        << bad;
  }
}

struct Row {
  const char* format;
  const char* record;
};

const std::vector<Row> kRows{
    {"text", R"("text":"a")"},
    {"prompt_completion", R"("prompt":"a","completion":"b")"},
    {"alpaca", R"("instruction":"a","output":"b")"},
    {"messages", R"("messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}])"},
    {"sharegpt", R"("conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}])"}};

TEST(UnusedColumns, AreNamedInEveryFormatUnlessTheyAreEmpty) {
  for (const auto& [format, record] : kRows) {
    const Json json = Json::parse("{" + std::string(record) +
                                  R"(,"category":"qa","id":0,"empty":"","none":null,"list":[],"source":["x"]})");
    ASSERT_EQ(detect_format(json, {}).name, format);
    EXPECT_EQ(unused_columns(json, format, {}, false), (Names{"category", "id", "source"})) << format;
    EXPECT_TRUE(unused_columns(json, format, {}, true).empty()) << "handed over to a template";
  }
  EXPECT_TRUE(unused_columns(Json::parse(R"({"a":"b"})"), "pattern", {}, false).empty());
}

// Each of the columns that change the question is read, refused by name or (beside a finished text) said.
TEST(UnusedColumns, ThatChangeTheQuestionAreNeverDroppedInSilence) {
  for (const auto& [format, record] : kRows) {
    for (const auto& [column, value] : std::initializer_list<std::pair<const char*, const char*>>{
             {"system", R"("Be brief.")"}, {"history", R"([["a","b"]])"}, {"tools", R"([{"name":"f"}])"}}) {
      const Json with = Json::parse("{" + std::string(record) + ",\"" + column + "\":" + value + "}");
      Names unused;
      const std::string error = error_of([&, format = format] { unused = unused_columns(with, format, {}, false); });
      const bool read = render(with, "plain").text != render("{" + std::string(record) + "}", "plain").text;
      EXPECT_EQ(read + !unused.empty() + !error.empty(), 1) << format << " " << column;
      if (!error.empty()) {
        EXPECT_TRUE(error.starts_with("column " + std::string(column) + " has no place in data.format " + format))
            << error;
      }
    }
  }
}

TEST(UnusedColumns, AreToldByTheNamesOfDataFields) {
  const Json json = Json::parse(R"({"question":"a","reply":"b","context":"c","system":"d"})");
  const DataOptions options{.fields = {{"instruction", "question"}, {"output", "reply"}}};
  EXPECT_EQ(unused_columns(json, "alpaca", options, false), Names{"context"});
}

TEST(DatasetNotes, SayEachThingOnce) {
  Dataset data{.records = 1200};
  EXPECT_TRUE(dataset_notes(data, "data.train", {}).empty());
  data.truncated = 1, data.dropped_long = 2, data.dropped_no_loss = 1000;
  data.format = "alpaca", data.unused_columns = {"id", "category"};
  EXPECT_EQ(dataset_notes(data, "data.train", {.max_length = 9}),
            (Names{"data.train: 1 of 1,200 examples were cut to data.max_length = 9 tokens",
                   "data.train: 2 of 1,200 examples are longer than data.max_length = 9 tokens and were dropped",
                   "data.train: 1,000 of 1,200 examples have no token that carries loss and were dropped",
                   "data.train: format alpaca does not use columns id, category"}));
  data.unused_columns = {"id"};
  EXPECT_EQ(dataset_notes(data, "data.valid", {.keep_without_loss = true})[2],
            "data.valid: 1,000 of 1,200 examples have no token that carries loss and count for nothing");
  EXPECT_EQ(dataset_notes(data, "data.valid", {}).back(), "data.valid: format alpaca does not use column id");
  data.straddling = 3;
  const auto with_border = dataset_notes(data, "data.train", {});
  EXPECT_TRUE(std::ranges::any_of(with_border, [](const std::string& note) {
    return note.starts_with(
        "data.train: 3 tokens straddle the border of prompt and completion and count as completion");
  }));
  data.chat_template = "chatml";  // there they are no targets
  EXPECT_EQ(dataset_notes(data, "data.train", {}).size() + 1, with_border.size());
}

}  // namespace
}  // namespace finetune::testing
