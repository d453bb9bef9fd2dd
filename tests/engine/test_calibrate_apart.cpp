// A calibration in a process of its own, and what is kept of it: whatever becomes of either, a run gets a table.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "core/error.h"
#include "core/file_lock.h"
#include "core/files.h"
#include "core/folders.h"
#include "core/strict_json.h"
#include "engine/calibration/calibrate_apart.h"
#include "engine/kernel_choice.h"
#include "engine/machine_report.h"
#include "support/places.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

class Apart : public ::testing::Test {
 protected:
  CalibrationProgram child(const std::string& how) const {
    return {.words = {(fs::path(program_path()).parent_path() / "calibrating_child").string(), how}, .seconds = 60};
  }
  CalibrationCache cache() {
    return {folder_.path() / "cache", [this](const std::string& line) { said_.push_back(line); }};
  }
  ops::KernelTable table(const CalibrationProgram& program) {
    return calibrated_kernels(request_, cache(), program,
                              {.note = [this](const std::string& line) { said_.push_back(line); }});
  }
  std::string said() const {
    std::string all;
    for (const std::string& line : said_) all += line + "\n";
    return all;
  }
  void expect_said(const std::string& text) const { EXPECT_NE(said().find(text), std::string::npos) << said(); }
  /// What is found comes of no process: it must have been kept.
  CalibrationProgram none() const { return child("refuse"); }

  const TemporaryFolder folder_;
  CalibrationRequest request_{
      .device = "cpu",
      .dtype = at::kFloat,
      .shape = {
          .width = 32, .mlp_width = 48, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 8, .vocab_size = 101}};
  std::vector<std::string> said_;
};

const std::vector<std::string> kAllButGlu{"rmsnorm",         "rotary",    "attention", "entropy",  "adapter",
                                          "dropped_adapter", "optimizer", "decoding",  "unpacking"};

TEST_F(Apart, WhatWonIsTakenAndKept) {
  const ops::KernelTable found = table(child("right"));
  ops::KernelTable all = ops::KernelTable::written();
  all.allow_graphs(false);
  EXPECT_EQ(found, all) << said();
  expect_said("run.kernels auto: kernels were measured on cpu: rmsnorm, rotary");
  said_.clear();
  EXPECT_EQ(table(none()), found);
  EXPECT_EQ(said(), "") << "it was kept";
  request_.shape.rank = 32;
  EXPECT_EQ(table(none()), ops::KernelTable::composition()) << "another shape was not measured";
}

TEST_F(Apart, AKernelThatIsWrongIsLeftAndNamed) {
  EXPECT_EQ(names_of(table(child("wrong"))), kAllButGlu);
  expect_said("; not glu wrong: h is off by");
}

TEST_F(Apart, WhateverEndsItTheRunGetsTheComposition) {
  for (const auto& [how, words] : std::vector<std::pair<std::string, std::string>>{
           {"crash", "the process that measures them was ended by signal 11"},
           {"refuse", "ended with exit code 1 (finetune_tune: the device is used by somebody else)"},
           {"silence", "left nothing of use: "},
           {"garbage", "left nothing of use: its result"},
           {"half", "left nothing of use: its result"},
           {"other", "left nothing of use: its result: is no calibration"}}) {
    said_.clear();
    EXPECT_EQ(table(child(how)), ops::KernelTable::composition()) << how;
    ASSERT_EQ(said_.size(), 1u) << said();
    expect_said("run.kernels auto: LibTorch's operations, since kernels could not be measured on cpu: ");
    expect_said(words);
    EXPECT_EQ(said_.front().find('\n'), std::string::npos);
  }
  EXPECT_FALSE(fs::exists(folder_.path() / "cache")) << "nothing of a failure is kept";
}

TEST_F(Apart, OneThatNeverEndsIsEnded) {
  CalibrationProgram program = child("hang");
  program.seconds = 4;
  EXPECT_EQ(table(program), ops::KernelTable::composition());
  expect_said("took longer than 4 seconds");
}

TEST_F(Apart, TheUserMayEndIt) {
  CalibrationProgram program = child("hang");
  program.interrupted = [] { return true; };
  EXPECT_THROW(table(program), Interrupted);
}

TEST_F(Apart, AnotherProgramCannotStartItself) {
  EXPECT_EQ(calibration_program().words.size(), 0u) << "this is a test";
  EXPECT_EQ(table({}), ops::KernelTable::composition());
  expect_said("only the program finetune_tune can");
}

TEST_F(Apart, TheProgramStartsItself) {
  const Calibration found = calibrate_apart(request_, {.words = {program_path(), "calibrate"}, .seconds = 120});
  EXPECT_EQ(found.operations.size(), 17u);
  EXPECT_FALSE(is_some_wrong(found.operations));
  EXPECT_FALSE(found.graphs);
}

TEST_F(Apart, ADamagedFileIsSaidAndReplaced) {
  table(child("right"));
  const fs::path file = cache().file();
  const std::string good = read_file(file);
  for (const std::string& broken :
       {good.substr(0, good.size() / 2), std::string("[]"), std::string(R"({"version": 2, "entries": []})"),
        std::string("\0\0\0", 3), std::string(R"({"version": 1, "version": 1, "entries": []})")}) {
    write_file_atomically(file, broken);
    said_.clear();
    EXPECT_FALSE(table(child("right")) == ops::KernelTable::composition()) << broken.substr(0, 40);
    EXPECT_EQ(said_.size(), 2u) << said();
    expect_said("kernels are measured again: " + file.string());
    said_.clear();
    EXPECT_FALSE(table(none()) == ops::KernelTable::composition()) << "it was not replaced";
  }
}

// Entries that are not whole, and those of another time, driver or build, are passed over.
TEST_F(Apart, WhatIsStaleIsNotTaken) {
  table(child("right"));
  const fs::path file = cache().file();
  const auto good = read_json_file(file.string());
  for (const char* name : {"device", "multiprocessors", "driver", "libtorch", "program", "dtype", "shape"}) {
    auto other = good;
    other["entries"][0]["key"][name] = "another";
    write_file_atomically(file, other.dump());
    EXPECT_FALSE(cache().find(calibration_key(request_))) << name;
  }
  auto broken = good;
  broken["entries"][0]["calibration"]["operations"][0]["operation"] = "fly";
  write_file_atomically(file, broken.dump());
  said_.clear();
  EXPECT_FALSE(cache().find(calibration_key(request_)));
  expect_said("there is no operation fly");
}

TEST_F(Apart, AFolderThatTakesNothingIsSaid) {
  write_file_atomically(folder_.path() / "cache", "a file in its place");
  EXPECT_FALSE(table(child("right")) == ops::KernelTable::composition()) << "the table is as good";
  expect_said("what was measured of kernels is not kept for the next run: ");
  const CalibrationCache nowhere({}, [this](const std::string& line) { said_.push_back(line); });
  said_.clear();
  EXPECT_FALSE(nowhere.find({}));
  nowhere.keep({}, {});
  expect_said("neither XDG_CACHE_HOME nor HOME is an absolute path");
}

TEST_F(Apart, ALockThatSomebodyHoldsIsNotWaitedForLong) {
  make_folders(folder_.path() / "cache");
  const auto lock = FileLock::try_lock(folder_.path() / "cache" / "kernels.lock");
  ASSERT_TRUE(lock);
  EXPECT_FALSE(table(child("right")) == ops::KernelTable::composition());
  expect_said("another run is writing to");
}

// Processes that keep entries of their own at once: all of them are there in the end, and the file was whole always.
TEST_F(Apart, TwoWritersKeepWhatTheOtherKept) {
  constexpr int kEach = 8;
  std::vector<pid_t> children;
  for (int who = 0; who < 2; ++who) {
    const pid_t pid = fork();
    if (pid == 0) {
      bool good = true;
      const CalibrationCache mine(folder_.path() / "cache", [&](const std::string&) { good = false; });
      for (int i = 0; i < kEach; ++i) mine.keep({{"who", who}, {"what", i}}, {});
      _exit(good ? 0 : 1);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  for (int who = 0; who < 2; ++who) {
    for (int i = 0; i < kEach; ++i) EXPECT_TRUE(cache().find({{"who", who}, {"what", i}})) << who << " " << i;
  }
  for (int i = 0; i < 40; ++i) cache().keep({{"what", i}}, {});
  EXPECT_EQ(read_json_file(cache().file().string())["entries"].size(), 32u);
  EXPECT_TRUE(cache().find({{"what", 39}}));
  EXPECT_FALSE(cache().find({{"what", 7}})) << "what was kept longest ago goes";
  EXPECT_EQ(said(), "");
}

TEST_F(Apart, AMachineIsUnsoundWhereAKernelIs) {
  for (const auto& [how, sound] : {std::pair("right", true), std::pair("wrong", false), std::pair("crash", false)}) {
    const MachineReport report =
        examine_machine(request_.shape, "tiny", cache(), child(how), [](const std::string&) {});
    const DeviceReport& cpu = report.devices.front();
    EXPECT_EQ(is_unsound(report), !sound) << how;
    EXPECT_EQ(to_json(report)["sound"], sound);
    EXPECT_GT(cpu.products.float32, 1e8);
    EXPECT_GT(cpu.copy_bytes, 1e8);
    ASSERT_EQ(cpu.operations.size(), 1u);
    EXPECT_EQ(cpu.operations.front().problem.empty(), std::string(how) != "crash") << cpu.operations.front().problem;
  }
  EXPECT_FALSE(fs::exists(cache().file())) << "the processor's kernels are not chosen by it";
}

TEST(Machine, ACeilingIsOfBytesOrProducts) {
  const DeviceReport device{.products = {.float32 = 100, .bfloat16 = 400}, .copy_bytes = 10};
  Measured one{.composition_s = 20, .written_s = 10, .bytes = 50, .flops = 200};
  EXPECT_DOUBLE_EQ(share_of_ceiling(device, one), 5.0 / 20);
  one.takes_written = true;
  EXPECT_DOUBLE_EQ(share_of_ceiling(device, one), 5.0 / 10);
  one.flops = 800;
  EXPECT_DOUBLE_EQ(share_of_ceiling(device, one), 8.0 / 10);
  one.dtype = at::kBFloat16;
  EXPECT_DOUBLE_EQ(share_of_ceiling(device, one), 5.0 / 10);
}

GraphsFound compared(std::vector<double> eager, double eager_s, std::vector<double> graphs, double graphs_s) {
  return compare_steps({.seconds = eager_s, .losses = std::move(eager)},
                       {.seconds = graphs_s, .losses = std::move(graphs)});
}

TEST(Graphs, AreTakenWhereTheyAgreeAndAreFaster) {
  EXPECT_TRUE(compared({4, 3}, 2, {4.01, 3}, 1).takes_graphs);
  EXPECT_FALSE(compared({4, 3}, 1, {4, 3}, 2).takes_graphs);
  EXPECT_FALSE(compared({4, 3}, 2, {4, 2.9}, 1).takes_graphs);
  EXPECT_FALSE(compared({4, 3}, 2, {4, std::nan("")}, 1).takes_graphs);
  EXPECT_FALSE(compared({4, 3}, 2, {4}, 1).takes_graphs);
  const GraphsFound found = compared({4, 3}, 2, {4.01, 3}, 1);
  EXPECT_EQ(to_json(graphs_from_json("x", to_json(found))), to_json(found));
  EXPECT_THROW(graphs_from_json("x", {{"eager_seconds", 1}}), Error);
}

TEST(Graphs, BringTheKernelsThatACaptureNeeds) {
  Calibration calibration;
  for (const ops::Operation operation : ops::kOperations) {
    const bool slow = operation == ops::Operation::adapter || operation == ops::Operation::glu;
    calibration.operations.push_back(
        {.operation = operation, .composition_s = 1, .written_s = slow ? 2.0 : 1.0, .has_kernel = true});
  }
  ops::KernelTable table = table_of(calibration);
  EXPECT_FALSE(table.graphs() || table.takes(ops::Operation::adapter));
  calibration.graphs = GraphsFound{.takes_graphs = true};
  table = table_of(calibration);
  EXPECT_TRUE(table.graphs() && table.takes(ops::Operation::adapter));
  EXPECT_FALSE(table.takes(ops::Operation::glu)) << "its composition can be captured";
  calibration.graphs->takes_graphs = false;
  EXPECT_FALSE(table_of(calibration).graphs());
}

// The steps that graphs are judged by, with the stand-in for graphs.
TEST(Graphs, StepsOfTheStandInAgree) {
  const KernelShape shape{
      .width = 32, .mlp_width = 48, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 8, .vocab_size = 101};
  const DecoderBase base = tried_base(shape, at::kFloat, at::kCPU);
  ops::KernelTable eager = ops::KernelTable::written();
  eager.allow_graphs(false);
  const StepTimes plain = time_steps(base, 16, eager), captured = time_steps(base, 16, ops::KernelTable::written());
  EXPECT_EQ(plain.losses.size(), 4u * 14u);
  EXPECT_EQ(compare_steps(plain, captured).why.find("wrong"), std::string::npos);
}

}  // namespace
}  // namespace finetune::testing
