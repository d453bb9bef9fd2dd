// The simulation of many devices (devices/), where its answer can be worked out by hand.
#include <gtest/gtest.h>

#include <algorithm>

#include "devices/play.h"

namespace finetune::testing {
namespace {

// Rounds cost their work alone: so many seconds a token.
FleetOptions plain(std::vector<double> slowness, std::int64_t trials) {
  FleetOptions options{.slowness = std::move(slowness), .trials = trials, .steps = 10, .scheduler = "none"};
  options.machine = {.name = "plain", .cost = {.work = 1e-3}, .tokens_per_pass = 1e9};
  options.varied = false;
  return options;
}

const std::vector<Way>& ways() {
  static const std::vector<Way> list{{.lag = 0},
                                     {.lag = 1},
                                     {.lag = 1, .placing = Placing::seconds},
                                     {.ahead = true},
                                     {.ahead = true, .placing = Placing::cost},
                                     {.ahead = true, .placing = Placing::seconds},
                                     {.ahead = true, .in_order = false}};
  return list;
}

double share(const FleetOptions& options, const Way& way) {
  const Played played = play(options, way);
  return share_used(played.busy, std::ssize(options.slowness), played.makespan);
}

TEST(SimulatedDevices, OneDeviceTakesTheSumOfItsRounds) {
  FleetOptions options = plain({1}, 3);
  options.machine = half_billion();
  options.varied = true;
  const std::unique_ptr<Tuner> tuner = fleet_tuner(options);
  std::vector<Action> actions;
  const std::vector<NewTrial> trials = tuner->ask(3, actions);
  const ExampleLengths lengths(true);
  double seconds = evaluation_seconds(options.machine, lengths.validation(), 3);
  for (std::int64_t step = 1; step <= options.steps; ++step) {
    RoundWork work;
    for (const NewTrial& trial : trials)
      work = work + lengths.batch(trial.id, step, std::get<std::int64_t>(*find_param(trial.params, "batch_size")));
    seconds += round_seconds(options.machine, work);
  }
  for (const Way& way : ways()) {
    const Played played = play(options, way);
    EXPECT_NEAR(played.makespan, seconds, 1e-9 * seconds);
    EXPECT_NEAR(played.busy, seconds, 1e-9 * seconds);
  }
}

TEST(SimulatedDevices, EqualWorkOnEqualDevicesUsesAllOfTheTime) {
  for (const Way& way : ways()) EXPECT_NEAR(share(plain({1, 1, 1, 1}, 12), way), 1, 1e-12);
}

TEST(SimulatedDevices, AFastDeviceWaitsForOneTwiceAsSlow) {
  // Three trials each: one works all of the time, the other half of it, however far it may run ahead. As it comes, the
  // tuner hears of the first three alone, and what the slow one has left is shared out.
  for (const Way& way : ways()) {
    const double used = share(plain({1, 2}, 6), way);
    if (way.placing != Placing::seconds && way.in_order) {
      EXPECT_NEAR(used, 0.75, 1e-12);
    }
  }
}

TEST(SimulatedDevices, PlacingBySecondsGivesASlowDeviceFewerTrials) {
  // Four trials at one second and two at two.
  for (const Way& way : ways()) {
    if (way.placing == Placing::seconds) {
      EXPECT_NEAR(share(plain({1, 2}, 6), way), 1, 1e-12);
    }
  }
}

TEST(SimulatedDevices, TrialsThatNoDeviceSharesLeaveTheOthersIdle) {
  for (const Way& way : ways()) EXPECT_NEAR(share(plain({1, 1, 1, 1}, 3), way), 0.75, 1e-12);
}

// Two devices with a trial each, whose rounds are short and long in turn: in step they take the longer one of each
// round, ahead what each has to do.
TEST(SimulatedDevices, RunningAheadTakesTheLongerSumInsteadOfTheSumOfTheLonger) {
  FleetOptions options = plain({1, 1}, 2);
  options.varied = true;
  const auto makespan = [&](const Way& way) { return play(options, way).makespan; };
  const ExampleLengths lengths(true);
  const std::unique_ptr<Tuner> tuner = fleet_tuner(options);
  std::vector<Action> actions;
  const std::vector<NewTrial> trials = tuner->ask(2, actions);
  std::vector<double> sums(2, 0.0), longer(1, 0.0);
  for (std::int64_t step = 1; step <= options.steps; ++step) {
    std::vector<double> seconds;
    for (const NewTrial& trial : trials) {
      const std::int64_t batch = std::get<std::int64_t>(*find_param(trial.params, "batch_size"));
      seconds.push_back(round_seconds(options.machine, lengths.batch(trial.id, step, batch)));
      sums[seconds.size() - 1] += seconds.back();
    }
    longer[0] += std::max(seconds[0], seconds[1]);
  }
  const double measured = evaluation_seconds(options.machine, lengths.validation(), 1);
  ASSERT_LT(std::max(sums[0], sums[1]), 0.999 * longer[0]) << "one is always the longer: these lengths show nothing";
  EXPECT_NEAR(makespan({.lag = 0}), longer[0] + measured, 1e-9 * longer[0]);
  EXPECT_NEAR(makespan({.ahead = true}), std::max(sums[0], sums[1]) + measured, 1e-9 * longer[0]);
  EXPECT_LE(makespan({.lag = 1}), makespan({.lag = 0}));
  EXPECT_GE(makespan({.lag = 1}), makespan({.ahead = true}));
}

TEST(SimulatedDevices, DecisionsAreTheSameInRoundsAndAheadForAnyNumberOfDevices) {
  for (const char* scheduler : {"asha", "asha_promotion", "hyperband", "sync_hyperband"}) {
    FleetOptions options{.machine = half_billion(), .trials = 200, .steps = 60, .scheduler = scheduler};
    std::vector<std::vector<Ending>> endings;
    for (const std::int64_t devices : {2, 4, 8, 32}) {
      options.slowness = slowness(devices, true);
      options.slots = 64 / devices;
      for (const Way& way : ways()) {
        if (way.in_order) endings.push_back(play(options, way).endings);
      }
    }
    for (const auto& other : endings) EXPECT_EQ(other, endings.front()) << scheduler;
    const auto stopped = [](const Ending& ending) { return ending.state == TrialState::stopped; };
    EXPECT_TRUE(std::ranges::any_of(endings.front(), [](const Ending& e) { return e.state == TrialState::completed; }));
    EXPECT_TRUE(std::string(scheduler) == "asha_promotion" || std::ranges::any_of(endings.front(), stopped));
  }
}

TEST(SimulatedDevices, WhatARungLeavesIsEvenedOut) {
  FleetOptions options = plain({1, 1, 1, 1}, 40);
  options.scheduler = "asha";
  const std::unique_ptr<Tuner> tuner = fleet_tuner(options);
  Fleet fleet(options, *tuner);
  fleet.ask(0, 0);
  for (std::int64_t round = 1; fleet.running() > 0; ++round) {
    fleet.even_out(0);
    std::vector<TrialId> all;
    std::vector<std::int64_t> numbers;
    for (std::size_t device = 0; device < fleet.devices(); ++device) {
      const std::vector<TrialId> who = fleet.on_device(device);
      fleet.step(device, who);
      all.insert(all.end(), who.begin(), who.end());
      numbers.push_back(std::ssize(who));
    }
    EXPECT_LE(std::ranges::max(numbers), std::ranges::min(numbers) + 1);
    std::ranges::sort(all);
    fleet.tell(all, round, 0);
  }
  EXPECT_GT(fleet.moves(), 0);
}

TEST(SimulatedDevices, EveryFifthIsSlow) {
  const auto slow = [](std::int64_t devices) {
    return std::ranges::count_if(slowness(devices, true), [](double factor) { return factor > 1; });
  };
  EXPECT_EQ(slow(1), 0);
  EXPECT_EQ(slow(2), 0);
  EXPECT_EQ(slow(4), 1);
  EXPECT_EQ(slow(1000), 200);
}

TEST(SimulatedDevices, FullPassesRunAtTheRateThatWasAssumed) {
  for (const auto& [machine, rate] : {std::pair{half_billion(), 180e3}, {eight_billion(), 16e3}}) {
    RoundWork pass;
    for (double tokens = 0; tokens < machine.tokens_per_pass; tokens += 1024) add_example(pass, 1024, 1024);
    EXPECT_NEAR(pass.tokens / round_seconds(machine, pass), rate, 1e-6 * rate);
    EXPECT_NEAR(round_seconds(machine, 1.25 * pass), 1.25 * round_seconds(machine, pass) + 0.75 * machine.cost.pass,
                1e-9)
        << "a pass that is not full costs its launches";
  }
}

}  // namespace
}  // namespace finetune::testing
