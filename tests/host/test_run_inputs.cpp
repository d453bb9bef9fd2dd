// The files that a run reads, and how a change of one is noticed.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "host/run_inputs.h"
#include "models/model_files.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

class Inputs : public ::testing::Test {
 protected:
  Inputs() {
    fs::create_directory(folder_.path() / "model");
    for (const char* name : {"model/config.json", "model/model.safetensors", "model/notes.md", "train.jsonl"})
      write_text(folder_.path() / name, name);
    config_.model.path = (folder_.path() / "model").string();
    config_.data.train = {{.path = (folder_.path() / "train.jsonl").string()}};
  }
  std::vector<RunInput> hashed() const {
    auto inputs = run_inputs(config_);
    hash_inputs(inputs);
    return inputs;
  }
  TemporaryFolder folder_;
  RunConfig config_;
};

TEST_F(Inputs, AreDataAndWhatACheckpointIsReadFrom) {
  const auto inputs = run_inputs(config_);
  std::vector<std::string> names;
  for (const RunInput& input : inputs) names.push_back(input.path.filename());
  EXPECT_EQ(names, (std::vector<std::string>{"config.json", "model.safetensors", "train.jsonl"}));
  EXPECT_EQ(inputs[2].bytes, 11u);
  EXPECT_EQ(inputs[2].hash, "");
}

TEST_F(Inputs, AreTheSameAfterAWayThroughJson) {
  auto inputs = run_inputs(config_);
  hash_inputs(inputs);
  EXPECT_EQ(inputs_from_json(to_json(inputs)).at(1).hash, inputs[1].hash);
  EXPECT_FALSE(changed_since(inputs_from_json(to_json(inputs)), inputs));
  EXPECT_NE(error_of([] { inputs_from_json({{{"path", 1}}}); }, ErrorKind::bad_input), "");
}

TEST_F(Inputs, AChangeIsNamed) {
  auto begun = run_inputs(config_);
  hash_inputs(begun);
  EXPECT_FALSE(changed_on_disk(begun));
  const fs::path train = config_.data.train[0].path;
  write_text(train, "train.jsonX");  // of the same size
  fs::last_write_time(train, fs::last_write_time(train) + std::chrono::seconds(2));
  EXPECT_TRUE(holds(changed_on_disk(begun).value_or(""), "train.jsonl has changed"));
  EXPECT_TRUE(holds(changed_since(begun, hashed()).value_or(""), "train.jsonl has other content"));
  write_text(train, "longer than it was");
  EXPECT_TRUE(holds(changed_since(begun, hashed()).value_or(""), "has 18 bytes, and had 11"));
  write_text(folder_.path() / "model/tokenizer.json", "new");
  EXPECT_TRUE(holds(changed_since(begun, hashed()).value_or(""), "tokenizer.json was not there"));
  fs::remove(folder_.path() / "model/tokenizer.json");
  fs::remove(folder_.path() / "model/config.json");
  EXPECT_TRUE(holds(changed_since(begun, hashed()).value_or(""), "config.json is gone"));
  EXPECT_TRUE(holds(changed_on_disk(begun).value_or(""), "config.json has gone"));
  fs::remove(train);
  EXPECT_TRUE(holds(error_of([this] { run_inputs(config_); }, ErrorKind::bad_input), "train.jsonl: is gone"));
}

// Copied elsewhere and back: another time, the same content.
TEST_F(Inputs, TimeAloneIsNoChangeWhereContentIsKnown) {
  auto begun = run_inputs(config_);
  auto unhashed = begun;
  hash_inputs(begun);
  const fs::path train = config_.data.train[0].path;
  fs::last_write_time(train, fs::last_write_time(train) + std::chrono::seconds(2));
  EXPECT_FALSE(changed_since(begun, hashed()));
  EXPECT_TRUE(changed_since(unhashed, hashed())) << "nothing else tells";
}

}  // namespace
}  // namespace finetune::testing
