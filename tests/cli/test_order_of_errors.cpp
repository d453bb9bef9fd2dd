// What is wrong first: malformed arguments, then missing ones, then paths; an output that cannot be made is told before
// anything starts. Every verb alike. Runs the program.
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/program.h"

namespace finetune::testing {
namespace {

void expect_refused(const std::string& arguments, const std::string& word) {
  const Outcome outcome = run(arguments + " < /dev/null");
  EXPECT_EQ(outcome.code, 2) << arguments << "\n" << outcome.text;
  EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1) << arguments << "\n" << outcome.text;
  EXPECT_NE(outcome.text.find(word), std::string::npos) << arguments << "\n" << outcome.text;
}

TEST(OrderOfErrors, MalformedArgumentsComeBeforeMissingOnes) {
  for (const std::string verb : {"tune", "train", "eval", "generate", "check", "tokenize", "detokenize", "export",
                                 "asktell", "compare", "demo"}) {
    expect_refused(verb + " --set train.steps=many", "train.steps");
    expect_refused(verb + " --set train.stpes=3", "did you mean");
    expect_refused(verb + " --set train.steps", "KEY=VALUE");
    expect_refused(verb + " --nonsense", "--nonsense");
  }
  for (const std::string verb : {"tune", "train", "check"}) expect_refused(verb + " --steps many", "train.steps");
  expect_refused("compare --seeds many", "--seeds");
}

// Of a run that there is: a setting that is taken and not used would be worse than none.
TEST(OrderOfErrors, VerbsOfARunTakeNoSettings) {
  for (const std::string verb : {"resume", "report"}) {
    expect_refused(verb + " runs/first --set tune.trials=3", "takes no --set");
    expect_refused(verb + " runs/first --config x.yaml", "takes no --config");
    EXPECT_EQ(run(verb + " --help").text.find("--set"), std::string::npos) << verb;
  }
}

TEST(OrderOfErrors, PathsComeLastAndInTheirOrder) {
  const Fixture f;
  const auto dir = [&](const std::string& name) { return "'" + f.path(name) + "'"; };
  const std::string out = " --out " + dir("train.jsonl") + "/x";
  expect_refused("export --model /no/m --adapter /no/a" + out, "/no/m");
  expect_refused("export --model " + dir("model") + " --adapter /no/a" + out, "/no/a");
  for (const std::string verb : {"tune", "train"}) {
    expect_refused(verb + " --model /no/m --train /no/d --valid /no/v" + out, "/no/m");
    const std::string model = verb + " --model " + dir("model");
    expect_refused(model + " --set model.adapter=/no/a --train /no/d" + out, "/no/a");
    expect_refused(model + " --train /no/d --valid /no/v" + out, "/no/d");
    expect_refused(model + " --train " + dir("train.jsonl") + " --valid /no/v" + out, "/no/v");
    expect_refused(model + " --train " + dir("train.jsonl") + out, "train.jsonl/x");
  }
}

TEST(Outputs, ThatCannotBeMadeAreToldBeforeAnythingStarts) {
  const Fixture f;
  const std::string model = " --model '" + f.path("model") + "'", train = " --train '" + f.path("train.jsonl") + "'";
  const std::vector<std::string> writers{"tune" + model + train + " --out ",
                                         "train" + model + train + " --out ",
                                         "compare" + model + train + " --out ",
                                         "compare --simulate --out ",
                                         "export" + model + " --adapter '" + f.path("adapter") + "' --out ",
                                         "demo --out ",
                                         "eval" + model + " --data '" + f.path("train.jsonl") + "' --per-example "};
  // Below a file; where no folder can be made, whoever asks; under a name that no file system takes.
  for (const auto& out :
       {f.path("train.jsonl") + "/x", std::string("/proc/finetune_tune"), "/tmp/" + std::string(300, 'n')})
    for (const auto& writer : writers) expect_refused(writer + "'" + out + "'", out);
  expect_refused(writers.back() + "'" + f.path("model") + "'", "is a folder");
}

}  // namespace
}  // namespace finetune::testing
