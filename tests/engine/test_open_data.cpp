// data.* opened without a model: what is read, held out, limited, dated and refused.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "config/params.h"
#include "core/error.h"
#include "core/files.h"
#include "data/tokenizers/json_tokenizer.h"
#include "engine/open_data.h"
#include "engine/part_lines.h"
#include "engine/part_losses.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

// One token a letter: "<unk>" is 0, "a" is 1, "z" is 26.
std::unique_ptr<Tokenizer> letters() {
  std::string vocabulary = R"("<unk>":0)";
  for (char c = 'a'; c <= 'z'; ++c) vocabulary += std::string(",\"") + c + "\":" + std::to_string(1 + c - 'a');
  return parse_json_tokenizer(
      "letters", R"({"model":{"type":"BPE","unk_token":"<unk>","vocab":{)" + vocabulary + R"(},"merges":[]}})");
}

class OpenData : public ::testing::Test {
 protected:
  OpenData() : folder_(fs::temp_directory_path() / ("finetune_open_data_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
    config_.data.append_eos = false;
  }
  ~OpenData() override { fs::remove_all(folder_); }

  std::vector<DataSource> file(const std::string& name, const std::string& content) {
    write_file_atomically(folder_ / name, content);
    return {{.path = (folder_ / name).string()}};
  }
  // Forty texts of two to four letters.
  std::vector<DataSource> texts() {
    std::string lines;
    for (int i = 0; i < 40; ++i)
      lines += std::string(static_cast<std::size_t>(2 + i % 3), 'a') + char('b' + i % 20) + "\n";
    return file("train.txt", lines);
  }
  std::vector<DataSource> two_parts();
  OpenedData open(const DataUse& use = {}) { return open_data(config_, *letters(), model_, use, notes_); }
  std::string error_of(const DataUse& use = {}) {
    try {
      open(use);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
  RunConfig config_;
  DecoderOptions model_{.vocab_size = 27, .max_positions = 64};
  std::vector<std::string> notes_;
};

TEST_F(OpenData, HoldsOutAShareWhereNothingSaysWhat) {
  config_.data.train = texts();
  const OpenedData data = open();
  EXPECT_EQ(data.train.examples.size(), 38u);
  EXPECT_EQ(data.valid.examples.size(), 2u);
  EXPECT_EQ(data.valid_source, "5 % of data.train, chosen by hash");
  EXPECT_DOUBLE_EQ(config_.data.valid_fraction, 0.05) << "as used";
  std::int64_t tokens = 0;
  for (const auto& example : data.train.examples) tokens += std::ssize(example.ids);
  EXPECT_EQ(data.train.tokens, tokens) << "without those of the examples held out";
}

TEST_F(OpenData, HoldsOutNothingUnasked) {
  config_.data.train = texts();
  EXPECT_TRUE(open({.holds_out = false}).valid.examples.empty());
  config_.data.valid_fraction = 0.25;
  config_.data.valid_fraction_given = true;
  EXPECT_EQ(open({.holds_out = false}).valid.examples.size(), 10u) << "asked for";
}

TEST_F(OpenData, ReadsOnlyTheValidationDataWhereNothingIsTrained) {
  config_.data.train = {{.path = "not there"}};
  config_.data.valid = file("valid.txt", "ab\nc\nde\n");
  const OpenedData data = open({.trains = false});
  EXPECT_TRUE(data.train.examples.empty());
  EXPECT_EQ(data.valid.examples.size(), 3u) << "one without a loss token stays";
  EXPECT_EQ(data.valid_source, config_.data.valid.front().path);
}

TEST_F(OpenData, LowersTheLengthToTheModelsAndSaysSoWhereItWasGiven) {
  config_.data.train = texts();
  open();
  EXPECT_EQ(config_.data.max_length, 64);
  EXPECT_TRUE(notes_.empty());
  config_.data.max_length = 100;
  config_.given = {"data.max_length"};
  open();
  EXPECT_EQ(notes_, (std::vector<std::string>{"data.max_length = 100 lowered to the model's 64 positions"}));
}

TEST_F(OpenData, KeepsTheDateOnlyWhereATemplateReadsIt) {
  config_.data.train =
      file("chat.jsonl", R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})");
  config_.data.train_on = "all";
  config_.data.chat_template = file("plain.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}").front().path;
  EXPECT_NE(open({.holds_out = false}).chat_template.find("plain.jinja"), std::string::npos);
  EXPECT_EQ(config_.data.date, "");
  config_.data.chat_template =
      file("dated.jinja", "{{ strftime_now('%d') }}{% for m in messages %}{{ m.content }}{% endfor %}").front().path;
  open({.holds_out = false});
  EXPECT_EQ(config_.data.date.size(), 10u);
}

TEST_F(OpenData, RefusesIdsThatTheModelDoesNotHave) {
  config_.data.train = file("train.txt", "abc\nabz\n");
  model_.vocab_size = 26;
  EXPECT_NE(error_of({.holds_out = false}).find("train.txt:2: token id 26 is outside"), std::string::npos)
      << error_of({.holds_out = false});
}

TEST_F(OpenData, RefusesThemInWhatIsHeldOutToo) {
  config_.data.train = file("train.txt", "abc\nxyz\n");
  ASSERT_EQ(open().valid.examples.front().line, 2);
  model_.vocab_size = 26;
  EXPECT_NE(error_of().find("train.txt:2: token id 26 is outside"), std::string::npos) << error_of();
}

TEST_F(OpenData, BadLinesAreCollectedOrAnError) {
  config_.data.train = file("train.jsonl", "{\"text\":\"abc\"}\n{\"tex\":\"abc\"}\n");
  EXPECT_NE(error_of().find("train.jsonl:2"), std::string::npos);
  EXPECT_EQ(open({.collect_rejects = true}).train.rejects.size(), 1u);
}

// Six texts of a, four prompts of b: each is read in its own format.
std::vector<DataSource> OpenData::two_parts() {
  std::vector<DataSource> parts = file("a.txt", "aa\naaa\naab\naac\naad\naae\n");
  parts.front().name = "a";
  std::string rows;
  for (const char c : std::string("wxyz")) rows += std::string(R"({"prompt":"b","completion":")") + c + "\"}\n";
  parts.push_back({.path = file("b.jsonl", rows).front().path, .name = "b", .weight = 3});
  return parts;
}

TEST_F(OpenData, PartsAreReadEachInItsFormatAndCounted) {
  config_.data.train = two_parts();
  resolve_shares(config_);
  const OpenedData data = open({.holds_out = false});
  EXPECT_EQ(part_sizes(data.train), (std::vector<std::int64_t>{6, 4}));
  EXPECT_EQ(part_names(data.train), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(data.train.format, "text and prompt_completion");
  EXPECT_EQ(data.train.examples[6].file, 1);
  config_.train.steps = 10;
  config_.train.batch_size = 4;
  EXPECT_EQ(part_lines(config_, data),
            (std::vector<std::string>{
                "data.train a: 6 examples, 25 % of the draws, which are 1.67 passes over them in 10 steps",
                "data.train b: 4 examples, 75 % of the draws, which are 7.5 passes over them in 10 steps"}));
}

TEST_F(OpenData, WhatIsHeldOutOfPartsHasTheirNames) {
  config_.data.train = two_parts();
  config_.data.valid_fraction = 0.3;
  config_.data.valid_fraction_given = true;
  const OpenedData data = open();
  const auto train = part_sizes(data.train), valid = part_sizes(data.valid);
  EXPECT_EQ(train[0] + valid[0], 6);
  EXPECT_EQ(train[1] + valid[1], 4);
  EXPECT_EQ(part_names(data.valid), part_names(data.train));
}

TEST_F(OpenData, APartWithoutAnExampleCannotBeDrawn) {
  config_.data.train = two_parts();
  resolve_shares(config_);
  config_.data.train[1].path = file("b.jsonl", R"({"prompt":"b","completion":"w"})").front().path;
  config_.data.valid_fraction = 0.99;
  config_.data.valid_fraction_given = true;
  EXPECT_NE(error_of().find("b.jsonl: has a weight in data.train, and no example to draw"), std::string::npos)
      << error_of();
}

// eval of a run that was a mixture.
TEST_F(OpenData, SharesMeanNothingWhereNothingIsTrained) {
  config_.data.train = two_parts();
  resolve_shares(config_);
  config_.data.train.clear();
  config_.data.valid = {two_parts().front()};
  const OpenedData data = open({.trains = false, .holds_out = false});
  EXPECT_EQ(part_names(data.valid), std::vector<std::string>{"a"});
  EXPECT_EQ(part_lines(config_, data),
            std::vector<std::string>{"data.valid a: 6 examples, whose loss is logged as valid_loss.a"});
}

TEST(PartLosses, AreMeansOverTokensOfEachName) {
  std::vector<Example> examples(4);
  for (std::size_t i = 0; i < 4; ++i) {
    examples[i].ids = {1, 2, 3};
    examples[i].loss = {0, 1, i == 1 ? std::uint8_t{0} : std::uint8_t{1}};
    examples[i].file = static_cast<std::int32_t>(i % 3);
  }
  EvalResult result;
  add_part_losses({"a", "", "c"}, Batch(examples), std::vector<double>{1, 100, 6, 5}, result);
  EXPECT_EQ(result.task, (std::map<std::string, double>{{"valid_loss.a", 1.5}, {"valid_loss.c", 3}}));
}

}  // namespace
}  // namespace finetune::testing
