// The verb asktell as its caller runs it: exit codes, one line of answer for one of request, the two Python examples.
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/program.h"

namespace finetune::testing {
namespace {

const std::string kSpace = "search: {x: {low: 0, high: 1}}\n";

TEST(AskTellVerb, AnswersLineByLineAndEndsWithItsInput) {
  const Fixture fixture;
  fixture.write("space.yaml", kSpace + "tune: {trials: 1, sampler: random, scheduler: none}\n");
  const Outcome outcome = run("asktell --config '" + fixture.path("space.yaml") + "'",
                              R"({"ask":2}\nnonsense\n{"tell":[{"id":0,"value":1}]}\n{"ask":1})");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 4) << outcome.text;
  EXPECT_NE(outcome.text.find("{\"error\":"), std::string::npos);
  EXPECT_TRUE(outcome.text.ends_with("{\"ok\":true}\n{\"trials\":[],\"done\":true}\n")) << outcome.text;
}

TEST(AskTellVerb, AnUnusableConfigurationIsOneLineAndExitCodeTwo) {
  const Fixture fixture;
  const std::vector<std::pair<std::string, std::string>> table{
      {"tune: {trials: 1}\n", "search"},
      {"search: {x: {low: 2, high: 1}}\n", "search.x"},
      {"search: {x: {low: 0, high: 1, lgo: true}}\n", "search.x.lgo"},
      {kSpace + "tune: {sampler: randm}\n", "random"},
      {kSpace + "tune: {sampler: grid}\n", "search.x"},
      {kSpace + "tune: {scheduler: {name: asha, min_steps: 2}}\n", "min_steps"},
      {kSpace + "tune: {steps: 0}\n", "tune.steps"},
      {kSpace + "tune: {method: random+asha, sampler: random}\n", "tune.method"},
      {kSpace + "tune: {method: bohp}\n", "bohb"},
      {kSpace + "tune: {method: random+ashaa}\n", "asha"},
      {kSpace + "tune: {budget: {tokens: 9}}\n", "tune.budget.tokens"},
      {kSpace + "tune: {budget: {patience: 0}}\n", "tune.budget.patience"},
      {kSpace + "tune: {budget: {target: low}}\n", "tune.budget.target"},
  };
  for (const auto& [config, word] : table) {
    fixture.write("bad.yaml", config);
    const Outcome outcome = run("asktell --config '" + fixture.path("bad.yaml") + "' < /dev/null");
    EXPECT_EQ(outcome.code, 2) << config << outcome.text;
    EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1) << config << outcome.text;
    EXPECT_NE(outcome.text.find(word), std::string::npos) << config << outcome.text;
    EXPECT_NE(outcome.text.find("bad.yaml"), std::string::npos) << config << outcome.text;
  }
  EXPECT_EQ(run("asktell < /dev/null").code, 2);
  EXPECT_EQ(run("asktell --config /no/such/file < /dev/null").code, 2);
}

std::string report_of(int first, int count, int step, int sign) {
  std::string line;
  for (int id = first; id < first + count; ++id)
    line += (line.empty() ? "" : ",") + ("{\"id\":" + std::to_string(id) + ",\"step\":" + std::to_string(step)) +
            ",\"value\":" + std::to_string(sign * id) + "}";
  return "{\"report\":[" + line + "]}\\n";
}

// Of the first 21 trials the best 7 stay, and at step 3 their order is the opposite. All of the next 21 are worse than
// they were at step 1: the published rule stops every one, the guard none.
std::int64_t stops_of_asha(const Fixture& fixture, const std::string& options) {
  fixture.write("asha.yaml",
                kSpace + "tune: {trials: 42, steps: 9, sampler: random, scheduler: {name: asha" + options + "}}\n");
  const std::string ask = "{\"ask\":21}\\n";
  const Outcome outcome = run("asktell --config '" + fixture.path("asha.yaml") + "'",
                              ask + report_of(0, 21, 1, 1) + report_of(0, 7, 3, -1) + ask + report_of(21, 21, 1, 1));
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  std::int64_t stops = 0;
  for (std::size_t at = 0; (at = outcome.text.find("\"stop\"", at)) != std::string::npos; ++at) ++stops;
  return stops;
}

TEST(AskTellVerb, AshaIsThePublishedRuleUnlessItsGuardIsAskedFor) {
  const Fixture fixture;
  EXPECT_EQ(stops_of_asha(fixture, ""), 14 + 5 + 21);
  EXPECT_EQ(stops_of_asha(fixture, ", guard: false"), 14 + 5 + 21);
  EXPECT_EQ(stops_of_asha(fixture, ", guard: true"), 14 + 5);
}

TEST(AskTellVerb, ThePythonExamplesRun) {
  for (const char* name : {"asktell_function.py", "asktell_processes.py"}) {
    const Outcome outcome =
        run_command("python3 '" + source_dir() + "/src/examples/" + name + "' '" + program_path() + "'");
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_NE(outcome.text.find("best"), std::string::npos) << outcome.text;
  }
}

}  // namespace
}  // namespace finetune::testing
