// Optuna and TensorBoard themselves read what a study left. FINETUNE_PYTHONS names the interpreters to ask, with colons
// between; python3 otherwise. Skipped where none of them has the package.
#include <gtest/gtest.h>

#include <cstdlib>

#include "cli/program.h"
#include "core/text.h"

namespace finetune::testing {
namespace {

std::vector<std::string> pythons() {
  const char* const named = std::getenv("FINETUNE_PYTHONS");
  std::vector<std::string> list;
  for (const auto& python : split(named == nullptr ? "python3" : named, ':')) list.emplace_back(python);
  return list;
}

// The argument is a scheduler.
class Readers : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string space =
        "--set 'search.train.learning_rate={low: 1e-4, high: 0.3, log: true}' "
        "--set 'search.train.schedule={choices: [linear, constant]}' "
        "--set 'search.train.warmup_ratio={low: 0.0, high: 0.5, step: 0.1, when: {train.schedule: [linear]}}' "
        "--set 'search.train.batch_size={low: 1, high: 3, int: true}' ";
    const Outcome tuned =
        run(fixture_.tune(space + "--trials 6 --set train.steps=9 --set tune.scheduler=" + GetParam()));
    ASSERT_EQ(tuned.code, 0) << tuned.text;
  }
  /// How many interpreters had what the script reads with.
  int read_with(const std::string& script) {
    int read = 0;
    for (const std::string& python : pythons()) {
      const Outcome outcome = run_command("'" + python + "' '" + source_dir() + "/tests/study/" + script + "' '" +
                                          fixture_.path("out") + "'");
      if (outcome.code == 77) continue;
      EXPECT_EQ(outcome.code, 0) << python << ": " << outcome.text;
      ++read;
    }
    return read;
  }
  const Fixture fixture_;
};

TEST_P(Readers, OptunaFindsWhatTheReportSays) {
  EXPECT_TRUE(fs::exists(fixture_.path("out/study.db")));
  EXPECT_FALSE(fs::exists(fixture_.path("out/study.db-wal"))) << "its end takes the log into the file";
  if (read_with("optuna_reads.py") == 0) GTEST_SKIP() << "no Optuna with pandas";
}

TEST_P(Readers, TensorBoardFindsWhatTheMetricsSay) {
  if (read_with("tensorboard_reads.py") == 0) GTEST_SKIP() << "no tensorboard";
}

// The other way round: what Optuna left informs a study, and so does what that study left.
TEST(Writers, AStudyLearnsFromWhatOptunaLeft) {
  const Fixture fixture;
  const std::string space =
      "--set 'search.train.learning_rate={low: 1e-4, high: 0.3, log: true}' "
      "--set 'search.train.schedule={choices: [linear, constant]}' "
      "--set 'search.train.batch_size={low: 1, high: 3, int: true}' --set tune.sampler=tpe ";
  int read = 0;
  for (const std::string& python : pythons()) {
    const std::string name = "theirs" + std::to_string(read), file = fixture.path(name + ".db");
    const Outcome wrote =
        run_command("'" + python + "' '" + source_dir() + "/tests/study/optuna_writes.py' '" + file + "'");
    if (wrote.code == 77) continue;
    ASSERT_EQ(wrote.code, 0) << wrote.text;
    const std::string first = "first" + std::to_string(read), second = "second" + std::to_string(read);
    const Outcome tuned =
        run(fixture.tune_with("train.jsonl", first, space + "--set tune.warm_start='" + file + "#theirs'"));
    EXPECT_EQ(tuned.code, 0) << tuned.text;
    EXPECT_NE(tuned.text.find("warm start from " + file +
                              "#theirs: 2 of 8 trials (1 failed, 2 not finished, 1 with train.learning_rate outside "
                              "the search, 1 with train.schedule outside the search, 1 without a finite value); not "
                              "searched here and ignored: unknown\n"),
              std::string::npos)
        << tuned.text;
    const std::string ours = fixture.path(first + "/study.db");
    const Outcome again = run(fixture.tune_with("train.jsonl", second, space + "--set tune.warm_start='" + ours + "'"));
    EXPECT_EQ(again.code, 0) << again.text;
    EXPECT_NE(again.text.find("warm start from " + ours + ": 2 of 2 trials\n"), std::string::npos) << again.text;
    ++read;
  }
  if (read == 0) GTEST_SKIP() << "no Optuna";
}

INSTANTIATE_TEST_SUITE_P(Schedulers, Readers, ::testing::Values("asha", "asha_promotion", "pbt"));

}  // namespace
}  // namespace finetune::testing
