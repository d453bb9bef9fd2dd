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

INSTANTIATE_TEST_SUITE_P(Schedulers, Readers, ::testing::Values("asha", "asha_promotion", "pbt"));

}  // namespace
}  // namespace finetune::testing
