// A disk that takes nothing more while a study of the program runs: it waits, says so once, and goes on.
#include <gtest/gtest.h>

#include "cli/resume.h"

namespace finetune::testing {
namespace {

class FullDisk : public ::testing::Test {
 protected:
  /// The study, beside the test, once it has saved and the disk is full.
  std::unique_ptr<Background> filled() {
    auto tune = std::make_unique<Background>(
        place_.with_faults("FAULTS_DELAY_MS=3 FAULTS_ERRNO=ENOSPC FAULTS_ERRNO_FILE='" + full_ + "'", study_),
        place_.path("said"));
    EXPECT_TRUE(tune->wait_until([&] { return !saved_state(place_.out()).empty(); })) << tune->said();
    place_.files().write("full", "");
    EXPECT_TRUE(tune->wait_until([&] { return tune->has_said("the run waits"); })) << tune->said();
    return tune;
  }

  Place place_;
  const std::string full_ = place_.path("full");
  const std::string study_ = place_.study(
      "--set train.steps=12 --trials 6 --set tune.concurrent=3 --set tune.sampler=tpe "
      "--set tune.scheduler=asha_promotion");
  const Left expected_ = place_.untouched(study_);
};

TEST_F(FullDisk, IsWaitedFor) {
  const auto tune = filled();
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // one try more, which says nothing
  EXPECT_TRUE(tune->runs());
  fs::remove(full_);
  const Outcome outcome = tune->wait();
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  const auto first = outcome.text.find("the run waits");
  EXPECT_EQ(outcome.text.find("the run waits", first + 1), std::string::npos) << outcome.text;
  EXPECT_NE(outcome.text.find("No space left on device"), std::string::npos) << outcome.text;
  EXPECT_NE(outcome.text.find("the run goes on"), std::string::npos) << outcome.text;
  expect_same(expected_, what_is_left(place_.out()));
}

TEST_F(FullDisk, CtrlCEndsTheWaitingAndTheLastSaveStays) {
  const auto tune = filled();
  const std::string saved = saved_state(place_.out());
  EXPECT_NE(saved, "");
  tune->send(SIGINT);
  const Outcome outcome = tune->wait();
  EXPECT_EQ(outcome.code, 130) << outcome.text;
  EXPECT_FALSE(tune->was_killed()) << outcome.text;
  EXPECT_NE(outcome.text.find("what was saved before stays"), std::string::npos) << outcome.text;
  fs::remove(full_);
  EXPECT_EQ(saved_state(place_.out()), saved);
  const Outcome resumed = run(place_.resume());
  ASSERT_EQ(resumed.code, 0) << resumed.text;
  expect_same(expected_, what_is_left(place_.out()));
}

}  // namespace
}  // namespace finetune::testing
