// The verb compare as its caller runs it: the table, its two files, exit codes.
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/program.h"

namespace finetune::testing {
namespace {

const std::string kSmall = "compare --simulate --steps 20 --trials 4 --seeds 2 ";

TEST(CompareVerb, WritesTheTableItPrints) {
  const Fixture fixture;
  const Outcome outcome = run(kSmall + "--methods grid,random,optuna --out '" + fixture.path("out") + "'");
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_NE(outcome.text.find("| random |"), std::string::npos) << outcome.text;
  EXPECT_NE(outcome.text.find("grid left out: "), std::string::npos) << outcome.text;
  EXPECT_TRUE(fixture.read("out/compare.md").ends_with(outcome.text));
  const auto json = nlohmann::json::parse(fixture.read("out/compare.json"));
  ASSERT_EQ(json.at("methods").size(), 2u);
  EXPECT_EQ(json.at("methods")[1].at("method"), "optuna");
  EXPECT_EQ(json.at("budget_steps"), 80);
  EXPECT_EQ(run(kSmall + "--out '" + fixture.path("out") + "'").code, 2);  // not empty
}

TEST(CompareVerb, ReadsTheSpaceFromTheConfiguration) {
  const Fixture fixture;
  fixture.write("space.yaml", "search: {train.learning_rate: {choices: [1e-4, 1e-3]}}\n");
  const Outcome outcome = run(kSmall + "--json --methods grid --config '" + fixture.path("space.yaml") + "' --out '" +
                              fixture.path("out") + "'");
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_EQ(nlohmann::json::parse(outcome.text).at("methods")[0].at("lost_share"), 0.5);  // one of two whole trials
}

TEST(CompareVerb, AMistakeIsOneLineAndExitCodeTwo) {
  const Fixture fixture;
  const std::string out = " --out '" + fixture.path("out") + "'";
  const std::vector<std::pair<std::string, std::string>> table{
      {kSmall + "--methods gpp" + out, "gpp"},
      {kSmall + "--methods random,,gp" + out, "--methods"},
      {kSmall + "--methods gp,gp" + out, "gp twice"},
      {kSmall + "--methods grid" + out, "search.train.learning_rate"},
      {"compare --simulate --seeds 0" + out, "--seeds"},
      {"compare --methods random" + out, "--simulate"},
      {kSmall, "--out"},
  };
  for (const auto& [arguments, word] : table) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 2) << arguments << outcome.text;
    EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1) << arguments << outcome.text;
    EXPECT_NE(outcome.text.find(word), std::string::npos) << arguments << outcome.text;
    EXPECT_FALSE(fs::exists(fixture.path("out"))) << arguments;
  }
}

}  // namespace
}  // namespace finetune::testing
