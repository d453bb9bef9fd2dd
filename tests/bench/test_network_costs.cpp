// What images on a network cost (devices/network.h), worked out by hand, and what the simulation counts of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "devices/network.h"
#include "devices/play.h"

namespace finetune::testing {
namespace {

// 48 trials on equal devices; rounds cost their work alone.
FleetOptions on_equal(std::size_t devices) {
  FleetOptions options{.slowness = std::vector<double>(devices, 1.0), .trials = 48, .steps = 40};
  options.machine = {.name = "plain", .cost = {.work = 1e-3}, .tokens_per_pass = 1e9};
  return options;
}

// Values of all trials that were better than the same trial's before.
std::int64_t records(const std::vector<Ending>& endings) {
  std::int64_t number = 0;
  for (const Ending& ending : endings) {
    double best = std::numeric_limits<double>::infinity();
    for (const auto& [step, value] : ending.values) {
      if (value < best) ++number;
      best = std::min(best, value);
    }
  }
  return number;
}

// q and o 2 x 1792, k and v 2 x 1024, gate, up and down 3 x 5760 features, in 24 layers; likewise 81,920 in 32.
TEST(NodesOfDevices, AnImageHoldsAnAdapterAndItsMomentsInFp32) {
  EXPECT_EQ(adapter_parameters(half_billion().model, 16), 24 * 16 * (2 * 1792 + 2 * 1024 + 3 * 5760));
  EXPECT_EQ(adapter_parameters(eight_billion().model, 16), 32 * 16 * 81920);
  EXPECT_EQ(image_bytes(eight_billion().model, 16), 12.0 * 41943040);
  EXPECT_EQ(image_bytes(eight_billion().model, 64), 4 * image_bytes(eight_billion().model, 16));
  DecoderOptions smollm2;
  smollm2.width = 576, smollm2.mlp_width = 1536, smollm2.layers = 30;
  smollm2.heads = 9, smollm2.kv_heads = 3, smollm2.head_dim = 64;
  EXPECT_NEAR(image_bytes(smollm2, 16), 58.6e6, 0.05e6) << "what results/saves.md measured";
}

// Links of 2 GB/s between nodes, 10 GB/s within; images of 1 GB.
constexpr double kImage = 1e9;
constexpr Network kNetwork{.between = 2e9, .within = 10e9, .message_seconds = 0.5};
constexpr Traffic kTraffic{
    .resident = 100, .most_on_a_node = 8, .bests = 6, .within = 2, .between = 5, .most_of_a_node = 3, .lanes = 16};

TEST(NodesOfDevices, TheDriversLinkTakesEveryImageAndMovedOnesTwice) {
  EXPECT_DOUBLE_EQ(keeping_seconds(kNetwork, Route::driver, kImage, kTraffic), 100 / 2.0);
  EXPECT_DOUBLE_EQ(best_seconds(kNetwork, Route::driver, kImage, kTraffic), 6 / 2.0);
  EXPECT_DOUBLE_EQ(moving_seconds(kNetwork, Route::driver, kImage, kTraffic), 2 * (2 + 5) / 2.0);
}

TEST(NodesOfDevices, DirectlyTheBusiestNodesLinkDecides) {
  EXPECT_DOUBLE_EQ(keeping_seconds(kNetwork, Route::direct, kImage, kTraffic), 8 / 2.0);
  EXPECT_DOUBLE_EQ(best_seconds(kNetwork, Route::direct, kImage, kTraffic), 0);
  EXPECT_DOUBLE_EQ(moving_seconds(kNetwork, Route::direct, kImage, kTraffic), 2 / 10.0 + 3 / 2.0);
}

TEST(NodesOfDevices, AStudyCostsTheSumOfItsRoundsAndItsFailures) {
  const std::vector<Round> rounds(5, Round{.computing = 10, .decision = 1, .traffic = kTraffic});
  const Failures none{.devices_per_second = 0, .nodes_per_second = 0};
  const StudyCost cost = study_cost(kNetwork, Route::driver, none, kImage, 2, rounds);
  EXPECT_DOUBLE_EQ(cost.computing, 50);
  EXPECT_DOUBLE_EQ(cost.decisions, 5);
  EXPECT_DOUBLE_EQ(cost.messages, 5 * 16 * 0.5);
  EXPECT_DOUBLE_EQ(cost.bests, 15);
  EXPECT_DOUBLE_EQ(cost.moving, 35);
  EXPECT_DOUBLE_EQ(cost.keeping, 2 * 50) << "after the second and the fourth round";
  EXPECT_EQ(cost.failing, 0);
  EXPECT_DOUBLE_EQ(cost.driver_bytes, 200e9) << "the last states and the best images";
  EXPECT_DOUBLE_EQ(cost.total(), 245);

  // Every failure: a minute, one round again of two, and the states: one of a device, eight of a node.
  const Failures some{.devices_per_second = 1e-3, .nodes_per_second = 1e-4, .stand_in = 60};
  const double share = 1e-3 * (60 + 10 + 0.5) + 1e-4 * (60 + 10 + 4);
  const StudyCost mended = study_cost(kNetwork, Route::driver, some, kImage, 2, rounds);
  EXPECT_NEAR(mended.total(), 245 / (1 - share), 1e-9);
  EXPECT_NEAR(mended.failing, share * mended.total(), 1e-9);
  EXPECT_TRUE(std::isinf(study_cost(kNetwork, Route::driver, {.devices_per_second = 0.1}, kImage, 2, rounds).failing));
}

TEST(NodesOfDevices, StatesComeOverAsOftenAsCostsLeast) {
  const std::vector<Round> rounds(4000, Round{.computing = 10, .traffic = kTraffic});
  const Network fast{.between = 20e9, .message_seconds = 0};
  const auto total = [&](std::int64_t every) {
    return study_cost(fast, Route::driver, {}, kImage, every, rounds).total();
  };
  const double rate = Failures().devices_per_second + Failures().nodes_per_second;
  const std::int64_t best = best_rounds_between(keeping_seconds(fast, Route::driver, kImage, kTraffic), rate, 10);
  EXPECT_EQ(best, 19) << "sqrt(2 x 5 s x 3456 s) is 186 s";
  for (const std::int64_t other : {1, 8, 32, 100, 1000}) EXPECT_LT(total(best), total(other)) << other;
  EXPECT_EQ(best_rounds_between(1e-9, rate, 10), 1);
}

TEST(NodesOfDevices, RoundsOfAPlayAddUpToIt) {
  FleetOptions options = on_equal(24);
  for (const char* scheduler : {"none", "asha", "pbt"}) {
    options.scheduler = scheduler;
    const Played played = play(options, {.lag = 0, .placing = Placing::cost});
    double computing = 0;
    std::int64_t steps = 0, bests = 0, between = 0, moved = 0;
    for (const auto& [seconds, decision, traffic] : played.rounds) {
      computing += seconds;
      steps += traffic.resident;
      bests += traffic.bests;
      between += traffic.between;
      moved += traffic.within + traffic.between;
      EXPECT_GE(traffic.most_on_a_node * 3, traffic.resident);
      EXPECT_LE(traffic.most_of_a_node, traffic.between);
    }
    EXPECT_NEAR(computing, played.makespan, 1e-9 * computing) << scheduler;
    EXPECT_EQ(steps, played.steps) << scheduler;
    EXPECT_EQ(bests, records(played.endings)) << scheduler;
    if (scheduler != std::string("none")) {
      EXPECT_GT(bests, 48);
      EXPECT_GT(between, 0);
      EXPECT_GT(moved, between);
    }
  }
}

TEST(NodesOfDevices, OneNodeMovesNothingBetweenNodes) {
  FleetOptions options = on_equal(8);
  options.scheduler = "pbt";
  std::int64_t within = 0;
  for (const Round& round : play(options, {.lag = 0}).rounds) {
    within += round.traffic.within;
    EXPECT_EQ(round.traffic.between, 0);
    EXPECT_EQ(round.traffic.most_on_a_node, round.traffic.resident);
  }
  EXPECT_GT(within, 0);
}

}  // namespace
}  // namespace finetune::testing
