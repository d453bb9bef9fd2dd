// The program under a limit of its address space: passes get smaller, and who does not fit alone fails alone.
#include <gtest/gtest.h>

#include "cli/program.h"

namespace finetune::testing {
namespace {

class UnderALimit : public ::testing::Test {
 protected:
  // Wide adapters, so that it is activations that take memory: 115 kB a token in 14 projections of rank 2048.
  UnderALimit() {
    fixture_.edit("model/config.json", "\"max_position_embeddings\": 64", "\"max_position_embeddings\": 16384");
    std::string lines;
    for (int i = 0; i < 64; ++i) lines += line(60, static_cast<char>('a' + i % 26));
    fixture_.write("short.jsonl", lines);
    fixture_.write("long.jsonl", lines + line(9000, 'a'));
  }
  static std::string line(std::size_t length, char of) { return R"({"text": ")" + std::string(length, of) + "\"}\n"; }
  std::string arguments(const std::string& train, const std::string& more) const {
    return "--valid '" + fixture_.path("short.jsonl") + "' --overwrite --set run.threads=1 --set run.lanes=1 " +
           "--set tune.scheduler=none --set tune.sampler=grid --set data.shuffle=false --set data.max_length=9216 " +
           "--set 'search.train.lora.rank={choices: [2048]}' " + more + " " +
           fixture_.tune_with(train, "out", "--set train.steps=1");
  }
  // With small passes and short examples: the most that was reserved at any time, and something for luck.
  std::int64_t enough() const {
    const Outcome outcome =
        run_command("'" + program_path() + "' " + arguments("short.jsonl", "--set run.tokens_per_pass=64 ") +
                    " >/dev/null 2>&1 & while peak=$(awk '/VmPeak/ {print $2}' /proc/$!/status 2>/dev/null) && [ -n "
                    "\"$peak\" ]; do last=$peak; sleep 0.02; done; wait $! && echo $last");
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    return std::stoll(outcome.text) + (32 << 10);
  }
  Outcome limited(const std::string& train, const std::string& more, double share = 1) const {
    static const std::int64_t kilobytes = enough();
    const auto limit = static_cast<std::int64_t>(static_cast<double>(kilobytes) * share);
    return run_command("ulimit -c 0; ulimit -v " + std::to_string(limit) + " && '" + program_path() + "' " +
                       arguments(train, more));
  }
  Fixture fixture_;
};

TEST_F(UnderALimit, PassesGetSmaller) {
  std::string many;
  for (int i = 0; i < 4; ++i) many += fixture_.read("short.jsonl");
  fixture_.write("many.jsonl", many);
  const Outcome outcome =
      limited("many.jsonl", "--set 'search.train.batch_size={choices: [256]}' --set run.tokens_per_pass=16384");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_NE(outcome.text.find("out of memory; passes of "), std::string::npos) << outcome.text;
  EXPECT_EQ(outcome.text.find("failed"), std::string::npos) << outcome.text;
}

// The long example is the last: only a large batch meets it.
TEST_F(UnderALimit, ATrialThatDoesNotFitAloneFailsAndTheOthersGoOn) {
  const Outcome outcome =
      limited("long.jsonl", "--set 'search.train.batch_size={choices: [2, 65]}' --set run.tokens_per_pass=64");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  const auto report = nlohmann::json::parse(fixture_.read("out/report.json"));
  EXPECT_EQ(report.at("best").at("trial"), 0);
  EXPECT_EQ(report.at("trials").at(0).at("state"), "completed");
  EXPECT_EQ(report.at("trials").at(1).at("state"), "failed");
  EXPECT_EQ(report.at("trials").at(1).at("reason"),
            "out of memory with a batch of a single example (9001 tokens) at step 1");
}

// From where LibTorch can just be loaded: however little there is, the end is a line and an exit code.
TEST_F(UnderALimit, TheProgramNeverEndsWithoutALine) {
  for (double share = 0.85; share < 1; share += 0.03) {
    const Outcome outcome = limited("short.jsonl", "--set run.tokens_per_pass=64 --set run.save_every=1", share);
    EXPECT_TRUE(outcome.code == 0 || outcome.code == 1 || outcome.code == 2) << share << ": " << outcome.text;
    EXPECT_EQ(outcome.text.find("terminate called"), std::string::npos) << share << ": " << outcome.text;
    const bool says_why = outcome.text.find("finetune_tune: ") != std::string::npos;
    EXPECT_TRUE(outcome.code == 0 || says_why) << share << ": " << outcome.text;
  }
}

TEST_F(UnderALimit, WhereNothingFitsItSaysWhatToLower) {
  const Outcome outcome =
      limited("long.jsonl", "--set 'search.train.batch_size={choices: [65]}' --set run.tokens_per_pass=64");
  EXPECT_EQ(outcome.code, 1) << outcome.text;
  EXPECT_NE(outcome.text.find("every trial failed: out of memory with a batch of a single example (9001 tokens)"),
            std::string::npos)
      << outcome.text;
  EXPECT_NE(outcome.text.find("lower data.max_length"), std::string::npos) << outcome.text;
  EXPECT_FALSE(fs::exists(fixture_.path("out/best")));
}

}  // namespace
}  // namespace finetune::testing
