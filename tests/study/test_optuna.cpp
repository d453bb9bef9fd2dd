// Optuna itself opens what a study left. FINETUNE_OPTUNA_PYTHONS names the interpreters to ask, one version of Optuna
// each, with colons between; python3 otherwise. Skipped where none of them has Optuna.
#include <gtest/gtest.h>

#include <cstdlib>

#include "cli/program.h"
#include "core/text.h"

namespace finetune::testing {
namespace {

std::vector<std::string> pythons() {
  const char* const named = std::getenv("FINETUNE_OPTUNA_PYTHONS");
  std::vector<std::string> list;
  for (const auto& python : split(named == nullptr ? "python3" : named, ':')) list.emplace_back(python);
  return list;
}

class Optuna : public ::testing::TestWithParam<const char*> {};

TEST_P(Optuna, ReadsWhatTheReportSays) {
  const std::string space =
      "--set 'search.train.learning_rate={low: 1e-4, high: 0.3, log: true}' "
      "--set 'search.train.schedule={choices: [linear, constant]}' "
      "--set 'search.train.warmup_ratio={low: 0.0, high: 0.5, step: 0.1, when: {train.schedule: [linear]}}' "
      "--set 'search.train.batch_size={low: 1, high: 3, int: true}' ";
  int read = 0;
  const Fixture fixture;
  const Outcome tuned = run(fixture.tune(space + "--trials 6 --set train.steps=9 --set tune.scheduler=" + GetParam()));
  ASSERT_EQ(tuned.code, 0) << tuned.text;
  EXPECT_TRUE(fs::exists(fixture.path("out/study.db")));
  EXPECT_FALSE(fs::exists(fixture.path("out/study.db-wal"))) << "its end takes the log into the file";
  for (const std::string& python : pythons()) {
    const Outcome outcome = run_command("'" + python + "' '" + source_dir() + "/tests/study/optuna_reads.py' '" +
                                        fixture.path("out") + "'");
    if (outcome.code == 77) continue;
    EXPECT_EQ(outcome.code, 0) << python << ": " << outcome.text;
    ++read;
  }
  if (read == 0) GTEST_SKIP() << "no Optuna with pandas in " << ::testing::PrintToString(pythons());
}

INSTANTIATE_TEST_SUITE_P(Schedulers, Optuna, ::testing::Values("asha", "asha_promotion", "pbt"));

}  // namespace
}  // namespace finetune::testing
