// The cost model, on times that are made up.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>

#include "engine/lane_threads.h"
#include "engine/round_cost.h"

namespace finetune::testing {
namespace {

DecoderOptions model() {  // SmolLM2-135M
  DecoderOptions o;
  o.vocab_size = 49152;
  o.width = 576;
  o.mlp_width = 1536;
  o.layers = 30;
  o.heads = 9;
  o.kv_heads = 3;
  o.head_dim = 64;
  return o;
}

RoundWork work(double passes, double trials, std::int64_t examples, std::int64_t length) {
  RoundWork one;
  for (std::int64_t i = 0; i < examples; ++i) add_example(one, length, length / 2);
  RoundWork all = trials * one;
  all.passes = passes;
  all.trials = trials;
  return all;
}

TEST(RoundCost, RatiosAreThoseOfTheModelsShape) {
  // A layer's products have 576 x (2 x 576 + 2 x 192) + 3 x 576 x 1536 = 3,538,944 weights.
  const WorkRatios ratios = work_ratios(model());
  EXPECT_DOUBLE_EQ(ratios.square, 2.0 * 576 / 3538944);
  EXPECT_DOUBLE_EQ(ratios.loss_row, 49152.0 * 576 / (30 * 3538944.0));
}

TEST(RoundCost, WhatWasMadeUpIsFoundAgain) {
  const RoundCost truth{.pass = 2e-3, .work = 3e-5, .trial = 4e-4, .ratios = work_ratios(model())};
  const auto timed = [&](const RoundWork& w) { return TimedRound{w, seconds_of(truth, w)}; };
  const RoundCost cost =
      fit_round_cost(truth.ratios, timed(work(1, 1, 1, 16)), timed(work(1, 1, 8, 100)), timed(work(3, 6, 8, 100)));
  EXPECT_NEAR(cost.pass, truth.pass, 1e-9);
  EXPECT_NEAR(cost.work, truth.work, 1e-11);
  EXPECT_NEAR(cost.trial, truth.trial, 1e-9);
}

TEST(RoundCost, NoiseNeverMakesACoefficientNegativeAndTheLargestRoundIsMet) {
  const WorkRatios ratios = work_ratios(model());
  const TimedRound one{work(1, 1, 1, 16), 0.05}, batch{work(1, 1, 8, 100), 0.04};  // the larger one was faster
  for (const double seconds : {1e-4, 0.1, 10.0}) {
    const TimedRound several{work(3, 6, 8, 100), seconds};
    const RoundCost cost = fit_round_cost(ratios, one, batch, several);
    EXPECT_GE(cost.pass, 0);
    EXPECT_GE(cost.work, 0);
    EXPECT_GE(cost.trial, 0);
    EXPECT_NEAR(seconds_of(cost, several.work), seconds, 1e-9 * seconds);
  }
  const RoundCost alone = fit_round_cost(ratios, one, batch, std::nullopt);
  EXPECT_NEAR(seconds_of(alone, batch.work), batch.seconds, 1e-9);
}

TEST(LaneThreads, EveryLaneHasItsOwnThreadThatStays) {
  LaneThreads threads(3);
  std::vector<std::thread::id> first(3), second(3);
  const std::vector<std::size_t> all{0, 1, 2}, some{2, 0};
  threads.run(all, [&](std::size_t lane) { first[lane] = std::this_thread::get_id(); });
  threads.run(some, [&](std::size_t lane) { second[lane] = std::this_thread::get_id(); });
  EXPECT_NE(first[0], first[1]);
  EXPECT_NE(first[1], first[2]);
  EXPECT_EQ(first[0], second[0]);
  EXPECT_EQ(first[2], second[2]);
  EXPECT_EQ(second[1], std::thread::id()) << "a lane that was not named worked";
}

TEST(LaneThreads, AnErrorComesBackAfterTheOthersHaveEnded) {
  LaneThreads threads(2);
  const std::vector<std::size_t> all{0, 1};
  int done = 0;
  EXPECT_THROW(threads.run(all,
                           [&](std::size_t lane) {
                             if (lane == 0) throw std::runtime_error("broken");
                             ++done;
                           }),
               std::runtime_error);
  EXPECT_EQ(done, 1);
  threads.run(all, [&](std::size_t lane) { done += lane == 0 ? 10 : 0; });
  EXPECT_EQ(done, 11) << "the next job runs, and without the old error";
}

TEST(LaneThreads, JobsOfALaneAreDoneInOrderWhileOthersGoOn) {
  LaneThreads threads(2);
  std::mutex held;
  std::vector<int> order;
  held.lock();
  threads.post(0, [&] { const std::lock_guard wait(held); });
  const std::int64_t second = threads.post(0, [&] { order.push_back(1); });
  threads.post(0, [&] { order.push_back(2); });
  bool beside = false;
  threads.post(1, [&] { beside = true; });
  threads.wait(1);
  EXPECT_TRUE(beside) << "though lane 0 is held";
  held.unlock();
  threads.wait(0, second);
  threads.wait(0);
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(LaneThreads, WhatFollowsAnErrorIsNotDone) {
  LaneThreads threads(2);
  int done = 0;
  threads.post(0, [] { throw std::runtime_error("broken"); });
  const std::int64_t last = threads.post(0, [&] { ++done; });
  EXPECT_THROW(threads.wait(0, last), std::runtime_error);
  EXPECT_EQ(done, 0);
  threads.post(0, [&] { ++done; });
  threads.wait(0);
  EXPECT_EQ(done, 1) << "told once";
}

TEST(LaneThreads, DroppedJobsAreNotDone) {
  LaneThreads threads(2);
  std::atomic<bool> begun = false, go_on = false;
  int done = 0;
  threads.post(0, [&] {
    begun = true;
    while (!go_on) std::this_thread::yield();
    throw std::runtime_error("forgotten");
  });
  threads.post(0, [&] { ++done; });
  while (!begun) std::this_thread::yield();
  std::thread soon([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    go_on = true;
  });
  threads.drop(0);
  EXPECT_TRUE(go_on) << "the job under way is waited for";
  threads.wait(0);
  soon.join();
  EXPECT_EQ(done, 0);
}

}  // namespace
}  // namespace finetune::testing
