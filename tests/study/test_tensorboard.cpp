// TensorBoard's event files: checksums, framing and fields byte by byte, and what a study writes into them.
#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "models/model_files.h"
#include "study/event_records.h"
#include "study/tensorboard.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

// RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
TEST(Crc32c, HasThePublishedValues) {
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending += static_cast<char>(i);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(crc32c(ascending), 0x46dd794eU);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(""), 0U);
}

template <typename Unsigned>
Unsigned number_at(const std::string& bytes, std::size_t at) {
  Unsigned value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i)
    value |= static_cast<Unsigned>(static_cast<Unsigned>(static_cast<unsigned char>(bytes.at(at + i))) << 8 * i);
  return value;
}
std::uint32_t masked(const std::string& bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}
// The messages of a file's records; their checksums are looked at.
std::vector<std::string> messages_of(const std::string& file) {
  std::vector<std::string> messages;
  for (std::size_t at = 0; at < file.size();) {
    const auto length = static_cast<std::size_t>(number_at<std::uint64_t>(file, at));
    EXPECT_EQ(number_at<std::uint32_t>(file, at + 8), masked(file.substr(at, 8)));
    messages.push_back(file.substr(at + 12, length));
    EXPECT_EQ(number_at<std::uint32_t>(file, at + 12 + length), masked(messages.back()));
    at += 16 + length;
  }
  return messages;
}
bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(EventRecords, ScalarsAreFieldByField) {
  const std::string wall("\x09\0\0\0\0\0\0\xf8\x3f", 9);             // 1: double 1.5
  const std::string value("\x0a\x04loss\x15\0\0\x20\xc0", 11);       // 1: text "loss", 2: float -2.5
  const std::string summary = std::string("\x0a\x0b") + value;       // 1: message of 11 bytes
  const std::string event = wall + std::string("\x10\xac\x02", 3) +  // 2: varint 300
                            std::string("\x2a\x0d") + summary;       // 5: message of 13 bytes
  EXPECT_EQ(messages_of(scalars_record(1.5, 300, {{"loss", -2.5}})), std::vector{event});
  EXPECT_EQ(messages_of(version_record(1.5)), std::vector{wall + "\x1a\x0d"
                                                                 "brain.Event:2"});
}

TEST(EventRecords, HyperparametersKeepTheirKinds) {
  const std::string start =
      messages_of(hparams_start_record(0, {{"a", std::int64_t{8}}, {"b", true}, {"c", std::string("text")}, {"d", 0.5}},
                                       "000007"))
          .at(0);
  EXPECT_TRUE(holds(start, std::string("\x0a\x0e\x0a\x01"
                                       "a\x12\x09\x11\0\0\0\0\0\0\x20\x40",
                                       16)))
      << "8.0 as number_value";
  EXPECT_TRUE(holds(start,
                    "\x0a\x07\x0a\x01"
                    "b\x12\x02\x20\x01"))
      << "bool_value";
  EXPECT_TRUE(holds(start,
                    "\x0a\x0b\x0a\x01"
                    "c\x12\x06\x1a\x04text"))
      << "string_value";
  EXPECT_TRUE(holds(start,
                    "\x22\x06"
                    "000007"))
      << "group";
  EXPECT_TRUE(holds(start, "_hparams_/session_start_info"));
  EXPECT_NE(hparams_end_record(0, true), hparams_end_record(0, false));
}

class Board : public ::testing::Test {
 protected:
  Trial trial(std::int64_t id) {
    Trial trial;
    trial.id = TrialId{id};
    trial.params = {{"train.learning_rate", 3e-4}};
    return trial;
  }
  void step(const Trial& trial, std::int64_t number, double loss) {
    const std::vector<StepResult> results{
        {.trial = trial.id, .step = number, .train_loss = loss, .learning_rate = 0.25}};
    const std::vector<const Trial*> trials{&trial};
    board_.on_steps(results, trials);
  }
  std::vector<std::string> messages(const std::string& name) {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(run_.path() / "tensorboard" / name)) {
      EXPECT_TRUE(holds(entry.path().filename().string(), "tfevents"));
      for (auto& message : messages_of(read_text(entry.path()))) all.push_back(std::move(message));
    }
    return all;
  }
  TemporaryFolder run_;
  const SearchSpace space_{{{.name = "train.learning_rate", .low = 1e-5, .high = 1e-2},
                            {.name = "train.schedule", .choices = {std::string("linear"), std::string("cosine")}},
                            {.name = "train.lora.rslora", .choices = {true, false}},
                            {.name = "mixed", .choices = {true, std::int64_t{8}}}}};
  RunFiles files_{run_.path()};
  TensorBoardWriter board_{files_, space_, {metric_named("token_accuracy")}};
};

TEST_F(Board, HasAFolderForEachTrialAndNoneForTheDefault) {
  const Trial first = trial(0), default_run = trial(-1);
  board_.on_start(default_run);
  board_.on_start(first);
  step(default_run, 1, 2);
  step(first, 1, 2);
  EXPECT_TRUE(messages("000000").empty()) << "not before the round is over";
  files_.on_round(0);
  const auto written = messages("000000");
  ASSERT_EQ(written.size(), 4u);
  EXPECT_TRUE(holds(written[0], "brain.Event:2"));
  EXPECT_TRUE(holds(written[1], "_hparams_/experiment") && holds(written[1], "token_accuracy"));
  for (const char* column : {"train.learning_rate\x20\x03", "train.schedule\x20\x01", "train.lora.rslora\x20\x02"})
    EXPECT_TRUE(holds(written[1], column)) << column;
  EXPECT_TRUE(holds(written[1], std::string("mixed\x20\0", 7)));
  EXPECT_TRUE(holds(written[2], "train.learning_rate"));
  for (const char* tag : {"train_loss", "learning_rate", "grad_norm"}) EXPECT_TRUE(holds(written[3], tag)) << tag;
  EXPECT_EQ(std::distance(fs::directory_iterator(run_.path() / "tensorboard"), {}), 1);
}

TEST_F(Board, EvaluationsHaveTheLossAndTheTunedMetric) {
  const Trial one = trial(3);
  board_.on_start(one);
  board_.on_evaluation(one, {.trial = one.id, .loss = 0.5, .token_accuracy = 0.75}, {0.75, 0.75});
  files_.on_round(0);
  const std::string last = messages("000003").back();
  const auto number = [](float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    std::string bytes = "\x15";
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(bits >> 8 * i & 0xff);
    return bytes;
  };
  EXPECT_TRUE(holds(last, "valid_loss" + number(0.5F)));
  EXPECT_TRUE(holds(last, "token_accuracy" + number(0.75F)));
}

TEST_F(Board, ATrialThatEndsIsWrittenAtOnceWithHowItEnded) {
  Trial good = trial(0), bad = trial(1);
  board_.on_start(good);
  board_.on_start(bad);
  step(bad, 1, std::numeric_limits<double>::quiet_NaN());
  good.state = TrialState::stopped;
  bad.state = TrialState::failed;
  board_.on_end(good);
  board_.on_end(bad);
  const std::string success = "\x08\x01\x11", failure = "\x08\x02\x11";  // status, then the time
  EXPECT_TRUE(holds(messages("000000").back(), success)) << "stopped by the tuner is no failure";
  EXPECT_TRUE(holds(messages("000001").back(), failure));
  step(bad, 2, 1);  // none of its business any more
  files_.on_round(0);
  EXPECT_EQ(messages("000001").size(), 5u);
}

}  // namespace
}  // namespace finetune::testing
