// The output folder of a run: refused when something is in it, emptied when that is asked for.
#include <gtest/gtest.h>

#include "host/run_paths.h"
#include "models/model_files.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

class OutputFolder : public ::testing::Test {
 protected:
  std::string refusal(const fs::path& out, bool overwrite) const {
    RunConfig config;
    config.run.out = out.string();
    try {
      check_paths(config, true, overwrite);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  TemporaryFolder folder_;
  const fs::path out_ = folder_.path() / "run";
};

TEST_F(OutputFolder, ANewOrEmptyOneIsTakenAndTheCheckCreatesNothing) {
  EXPECT_EQ(refusal(out_, false), "");
  EXPECT_EQ(refusal(out_ / "deeper" / "still", false), "");
  EXPECT_FALSE(fs::exists(out_));
  fs::create_directory(out_);
  EXPECT_EQ(refusal(out_, false), "");
}

TEST_F(OutputFolder, OneThatHoldsSomethingIsRefusedAndLeftAlone) {
  fs::create_directory(out_);
  write_text(out_ / "run.yaml", "run: {}\n");
  const std::string why = refusal(out_, false);
  EXPECT_NE(why.find(out_.string()), std::string::npos) << why;
  EXPECT_NE(why.find("not empty"), std::string::npos) << why;
  EXPECT_NE(why.find("--overwrite"), std::string::npos) << why;
  EXPECT_EQ(refusal(out_, true), "");
  EXPECT_EQ(read_text(out_ / "run.yaml"), "run: {}\n") << "checking removes nothing, whatever the answer";
}

TEST_F(OutputFolder, OverwritingReplacesAllThatWasThere) {
  fs::create_directories(out_ / "trials" / "000007");
  write_text(out_ / "run.yaml", "run: {}\n");
  write_text(out_ / "trials" / "000007" / "trial.json", "{}\n");
  make_out(out_.string(), true);
  EXPECT_TRUE(fs::is_directory(out_));
  EXPECT_TRUE(fs::is_empty(out_));
  make_out((out_ / "deeper").string(), false);
  EXPECT_TRUE(fs::is_directory(out_ / "deeper"));
}

// Both found the folder empty when they began.
TEST_F(OutputFolder, WhoComesSecondDoesNotTakeAwayWhatTheFirstLeft) {
  { const FileLock first = make_out(out_.string(), false); }
  write_text(out_ / "run.yaml", "run: {}\n");
  EXPECT_THROW(make_out(out_.string(), false), Error);
  EXPECT_EQ(read_text(out_ / "run.yaml"), "run: {}\n");
}

TEST_F(OutputFolder, OverwritingTakesOnlyWhatTheProgramWroteAndNothingThatTheRunReads) {
  fs::create_directories(out_ / "best");
  for (const char* name : {"run.yaml", "study.db", "tensorboard", "study.db-wal", "study.db-shm", ".finetune_tune-x"})
    write_text(out_ / name, "");
  RunConfig config;
  config.run.out = out_.string();
  const auto refused = [&](const std::string& part) {
    try {
      check_paths(config, true, true);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
      EXPECT_TRUE(fs::exists(out_ / "run.yaml"));
      return true;
    }
    return false;
  };
  EXPECT_FALSE(refused(""));
  config.tune.warm_start = {(out_ / "study.db").string() + "#study"};
  EXPECT_TRUE(refused("--overwrite would delete tune.warm_start"));
  config.tune.warm_start = {(out_ / "none.db").string()};
  EXPECT_TRUE(refused("none.db: does not exist"));
  config.tune.warm_start.clear();
  config.model.adapter = (out_ / "best").string();
  EXPECT_TRUE(refused("would delete --adapter"));
  config.model.adapter.reset();
  config.model.path = out_.string();
  EXPECT_TRUE(refused("would delete --model")) << "the folder itself";
  fs::create_directory_symlink(out_, folder_.path() / "model");
  config.model.path = (folder_.path() / "model").string();
  EXPECT_TRUE(refused("would delete --model")) << "through a link";
  config.model.path.clear();
  write_text(out_ / "trials", "");
  config.data.train = {{.path = (out_ / "trials").string()}};
  EXPECT_TRUE(refused("would delete data.train"));
  config.data.train.clear();
  write_text(out_ / "notes.txt", "mine\n");
  EXPECT_TRUE(refused("holds notes.txt, which finetune_tune did not write"));
  fs::remove(out_ / "notes.txt");
  EXPECT_FALSE(refused(""));
  config.run.out = (folder_.path() / "model").string();
  EXPECT_TRUE(refused("is a link"));
}

TEST_F(OutputFolder, AFileInItsPlaceIsRefusedEvenForOverwriting) {
  write_text(out_, "");
  EXPECT_NE(refusal(out_, true).find("not a folder"), std::string::npos);
  EXPECT_NE(refusal(out_ / "inside", false).find("it is not a folder"), std::string::npos);
}

}  // namespace
}  // namespace finetune::testing
