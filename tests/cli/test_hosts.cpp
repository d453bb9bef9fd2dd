// The example hosts (src/examples): their rules reach the trials. And a project outside the tree links the package.
#include <gtest/gtest.h>

#include "cli/program.h"

namespace finetune::testing {
namespace {

nlohmann::json run_host(const Fixture& fixture, const std::string& name, const std::string& settings) {
  const std::string paths = "'" + fixture.path("model") + "' '" + fixture.path("train.jsonl") + "' '" +
                            fixture.path("train.jsonl") + "' '" + fixture.path("out") + "' ";
  const Outcome outcome = run_command("'" + build_dir() + "/example_" + name + "' " + paths + settings);
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  return nlohmann::json::parse(fixture.read("out/report.json"));
}

nlohmann::json trial_json(const Fixture& fixture, int trial) {
  return nlohmann::json::parse(fixture.read("out/trials/00000" + std::to_string(trial) + "/trial.json"));
}

// A rate of 1e-30 changes no weight, so every loss is flat.
TEST(Hosts, StopRuleEndsFlatTrials) {
  const Fixture fixture;
  const auto report = run_host(fixture, "stop_rule",
                               "tune.trials=2 'search.train.learning_rate={choices: [1e-30, 1e-29]}' "
                               "train.batch_size=20 train.steps=30");
  for (const auto& trial : report.at("trials")) {
    EXPECT_EQ(trial.at("state"), "stopped");
    EXPECT_EQ(trial.at("reason"), "training loss is flat");
  }
}

// A rate that makes the loss climb is halved, and best.yaml or the lineage says when.
TEST(Hosts, RatesAreHalvedWhileTheLossRises) {
  const Fixture fixture;
  run_host(fixture, "change_rates",
           "tune.trials=2 'search.train.learning_rate={choices: [0.5, 1.0]}' tune.scheduler=none "
           "train.batch_size=2 train.warmup_ratio=0 train.schedule=constant train.steps=60");
  int halved = 0;
  for (const int trial : {0, 1}) {
    const auto json = trial_json(fixture, trial);
    double rate = -1;
    for (const auto& event : json.at("lineage")) {
      const double now = event.at("params").at("train.learning_rate");
      if (rate > 0) {
        EXPECT_EQ(now, rate / 2);
      }
      rate = now;
      ++halved;
    }
  }
  EXPECT_GT(halved, 0) << trial_json(fixture, 0) << trial_json(fixture, 1);
}

TEST(Hosts, WeightsAreCopiedFromBestToWorst) {
  const Fixture fixture;
  run_host(fixture, "copy_weights",
           "tune.trials=3 'search.train.learning_rate={choices: [1e-5, 1e-3, 1e-2]}' train.batch_size=4 "
           "train.steps=25");
  int copies = 0;
  for (const int trial : {0, 1, 2}) {
    const auto json = trial_json(fixture, trial);
    for (const auto& event : json.at("lineage")) {
      EXPECT_EQ(event.at("step"), 20);
      EXPECT_NE(event.at("from"), trial);
      ++copies;
    }
  }
  EXPECT_EQ(copies, 1);
}

TEST(Package, AProjectOutsideTheTreeLinksAndRuns) {
  const Fixture fixture;
  const std::string script = source_dir() + "/tests/cli/outside/run.sh";
  const Outcome outcome = run_command("'" + script + "' '" + build_dir() + "' '" + source_dir() + "' '" +
                                      fixture.path("model") + "' '" + fixture.path("train.jsonl") + "'");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
}

}  // namespace
}  // namespace finetune::testing
