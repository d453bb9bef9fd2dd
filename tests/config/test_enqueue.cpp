// tune.enqueue: read, refused and printed back.
#include <gtest/gtest.h>

#include "config/config.h"
#include "config/fields.h"
#include "core/error.h"

namespace finetune::testing {
namespace {

RunConfig read(const std::string& yaml) {
  RunConfig config;
  set_key(config, "tune.enqueue", *parse_config("run.yaml", "enqueue: " + yaml).find("enqueue"));
  return config;
}

std::string refusal(const std::string& yaml) {
  try {
    read(yaml);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Enqueue, HoldsTrialsInOrderWithTheirTypes) {
  const RunConfig config = read("[{train.learning_rate: 3e-4, train.lora.rank: 16}, {train.schedule: cosine}]");
  const std::vector<Params> expected{{{"train.learning_rate", 3e-4}, {"train.lora.rank", std::int64_t{16}}},
                                     {{"train.schedule", std::string("cosine")}}};
  EXPECT_EQ(config.tune.enqueue, expected);
  const ConfigNode printed = parse_config("run.yaml", to_yaml(config));
  RunConfig again;
  set_key(again, "tune.enqueue", *printed.find("tune")->find("enqueue"));
  EXPECT_EQ(again.tune.enqueue, expected);
}

TEST(Enqueue, IsNotPrintedWhereThereIsNone) {
  EXPECT_EQ(to_yaml(RunConfig{}).find("enqueue"), std::string::npos);
  EXPECT_EQ(to_yaml(read("null")).find("enqueue"), std::string::npos);
}

TEST(Enqueue, WhatIsNoTrialIsRefused) {
  EXPECT_EQ(refusal("{train.lora.rank: 8}"), "run.yaml:1: tune.enqueue must be a list of maps");
  EXPECT_NE(refusal("[{train.lora.rank: 8}, 3]").find("run.yaml:1: tune.enqueue[1] must be a map"), std::string::npos);
  EXPECT_NE(refusal("[{train.lora.rank: [8]}]").find("tune.enqueue[0].train.lora.rank must be a single value"),
            std::string::npos);
}

}  // namespace
}  // namespace finetune::testing
