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
      {kSmall, "--out"},
      {kSmall + "--concurrency 4,x" + out, "--concurrency"},
      {kSmall + "--concurrency 4,4" + out, "4 twice"},
      {kSmall + "--model '" + fixture.path("model") + "'" + out, "--model"},
      {kSmall + "--set tune.budget.patience=3" + out, "tune.budget.patience"},
      {"compare --methods random" + out, "--model"},
      {"compare --seeds 0 " + fixture.tune(), "--seeds"},
      {"compare --methods random+ashaa " + fixture.tune(), "ashaa"},
      {"compare --methods grid " + fixture.tune(), "search.train.learning_rate"},
      {"compare --methods random " + fixture.tune("--set tune.budget.target=1"), "tune.budget.target"},
      {"compare --methods random --concurrency 1000000 " + fixture.tune(), "4096"},
      {"compare --methods random " + fixture.tune_with("none.jsonl", "out"), "none.jsonl"},
  };
  for (const auto& [arguments, word] : table) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 2) << arguments << outcome.text;
    EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1) << arguments << outcome.text;
    EXPECT_NE(outcome.text.find(word), std::string::npos) << arguments << outcome.text;
    EXPECT_FALSE(fs::exists(fixture.path("out"))) << arguments;
  }
}

// A study of the comparison is the study that tune runs: the same best metric for the same method, budget and seed.
TEST(CompareVerb, OnTheUsersOwnModelAStudyIsWhatTuneWouldHaveDone) {
  const Fixture fixture;
  const std::string rules = "--set tune.concurrent=2 --set run.eval_every=2 --set train.warmup_ratio=0 ";
  const Outcome outcome = run("compare --json --methods grid,random,asha,tpe+none,pbt --seeds 2 --concurrency 2,3 " +
                              fixture.tune(rules + "--trials 3 2>/dev/null"));
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  const auto json = nlohmann::json::parse(outcome.text);
  EXPECT_EQ(json, nlohmann::json::parse(fixture.read("out/compare.json")));
  EXPECT_EQ(json.at("budget_steps"), 12);
  EXPECT_EQ(json.at("left_out").size(), 1u);  // the default learning rate is a continuum
  ASSERT_EQ(json.at("methods").size(), 4u);
  ASSERT_EQ(json.at("runs").size(), 16u);
  for (const auto& row : json.at("methods")) {
    EXPECT_EQ(row.at("seeds"), 2);
    EXPECT_GE(row.at("best_highest"), row.at("best_lowest"));
    EXPECT_GT(row.at("decision_microseconds"), 0);
    EXPECT_LT(row.at("decision_share"), 1);
    ASSERT_EQ(row.at("scaling").size(), 2u);
    EXPECT_GT(row.at("scaling")[1].at("steps_per_second"), 0);
  }
  for (const auto& study : json.at("runs")) {
    EXPECT_GE(study.at("steps"), 12) << study;  // a round may pass the budget, and none ends before it
    EXPECT_LT(study.at("steps"), 12 + 3) << study;
    if (study.at("method") != "random" || study.at("concurrent") != 2) continue;
    const std::string name = "tuned" + study.at("seed").dump();
    const Outcome tuned = run(fixture.tune_with(
        "train.jsonl", name,
        rules + "--trials 12 --set tune.budget.steps=12 --set tune.method=random --seed " + study.at("seed").dump()));
    ASSERT_EQ(tuned.code, 0) << tuned.text;
    const auto best = nlohmann::json::parse(fixture.read(name + "/report.json")).at("best");
    EXPECT_EQ(study.at("best"), best.at("metric"));
    EXPECT_EQ(study.at("params"), best.at("params"));
  }
  EXPECT_NE(fixture.read("out/compare.md").find("steps a second at 2 / 3"), std::string::npos);
  EXPECT_TRUE(fs::exists(fixture.path("out/run.yaml")));
}

TEST(CompareVerb, HigherIsBetterWhereTheMetricIsMaximized) {
  const Fixture fixture;
  const Outcome outcome =
      run("compare --json --methods random --seeds 3 " + fixture.tune("--set tune.metric=token_accuracy  2>/dev/null"));
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  const auto json = nlohmann::json::parse(outcome.text);
  const auto& row = json.at("methods")[0];
  EXPECT_GE(row.at("best_lowest"), 0);
  EXPECT_LE(row.at("best_lowest"), row.at("best_median"));
  EXPECT_LE(row.at("best_median"), row.at("best_highest"));
  EXPECT_LE(json.at("within_reach"), json.at("best"));
}

// The first table is written after the first study; Ctrl-C then comes in the second, which has four seconds.
TEST(CompareVerb, AnInterruptLeavesTheTableOfWhatHasEnded) {
  const Fixture fixture;
  const Outcome outcome = interrupt_once(fixture.path("out/compare.json"),
                                         "compare --methods random --seeds 2 --concurrency 1 " +
                                             fixture.tune("--set train.warmup_ratio=0 --set tune.budget.seconds=4"));
  EXPECT_EQ(outcome.code, 130) << outcome.text;
  const auto json = nlohmann::json::parse(fixture.read("out/compare.json"));
  EXPECT_EQ(json.at("studies").at("finished"), 1) << outcome.text;
  EXPECT_EQ(json.at("runs").size(), 1u);
  EXPECT_NE(outcome.text.find("Only 1 of 2 studies had ended"), std::string::npos) << outcome.text;
}

// Real weights, tokenizer and reviews where they lie beside the repository.
TEST(CompareVerb, OnTinyStoriesWithMovieReviews) {
  const fs::path samples = fs::path(source_dir()) / ".." / "shared" / "samples";
  if (!fs::exists(samples / "models" / "tinystories-656k")) GTEST_SKIP() << "no sample models here";
  const Fixture fixture;
  const std::string reviews = read_file(samples / "datasets" / "sst2" / "dev.tsv");
  std::size_t end = 0;
  for (int line = 0; line < 97; ++line) end = reviews.find('\n', end) + 1;
  fixture.write("reviews.tsv", reviews.substr(0, end));
  fixture.write("compare.yaml",
                R"(
model: {path: )" + (samples / "models" / "tinystories-656k").string() +
                    R"(}
data: {train: )" + fixture.path("reviews.tsv") +
                    R"(, valid_fraction: 0.2, prompt: "Review: {sentence} Sentiment:", completion: " {label}"}
train: {steps: 12, batch_size: 4, warmup_ratio: 0}
tune: {trials: 4, budget: {steps: 48}}
)");
  const Outcome outcome = run("compare --methods random,hyperband,optuna --seeds 2 --config '" +
                              fixture.path("compare.yaml") + "' --out '" + fixture.path("out") + "'");
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  const auto json = nlohmann::json::parse(fixture.read("out/compare.json"));
  ASSERT_EQ(json.at("methods").size(), 3u);
  for (const auto& row : json.at("methods")) {
    EXPECT_LT(row.at("best_median"), 9) << row;  // the untouched base has 10.1: every method learned something
    EXPECT_GT(row.at("lost_share"), 0) << row;
    EXPECT_LT(row.at("lost_share"), 1) << row;
  }
  EXPECT_GT(json.at("methods")[0].at("seeds_that_reached").get<int>() +
                json.at("methods")[1].at("seeds_that_reached").get<int>() +
                json.at("methods")[2].at("seeds_that_reached").get<int>(),
            0);
}

}  // namespace
}  // namespace finetune::testing
