// What the schedulers do where later values contradict early ones, and where they confirm them.
#include <gtest/gtest.h>

#include <limits>
#include <map>

#include "tuners/game.h"
#include "tuners/schedulers/level_guard.h"

namespace finetune::testing {
namespace {

// Two studies with the same early values; in one of them the order turns round later.
std::int64_t stopped_at_the_first_rung(bool misleading, const std::string& scheduler, bool guard = true) {
  Params options = scheduler == "median" ? Params{} : halving(1, 3);
  options.emplace_back("guard", guard);
  Game game(scheduler, options, {.trials = 200, .max_steps = 9, .concurrent = 34});
  std::int64_t stops = 0;
  for (int generation = 0; generation < 3; ++generation) {
    const auto asked = game.ask(34);
    const auto first = static_cast<std::int64_t>(game.tuner().trials().size() - asked.size());
    for (std::int64_t step = 1; step <= 9; ++step) {
      std::map<std::int64_t, double> values;
      for (const auto& trial : game.tuner().trials()) {
        if (trial.state != TrialState::running) continue;
        const auto rank = static_cast<double>(trial.id.value * 7 % 34 - 17);  // a shuffled order
        values[trial.id.value] = misleading && step > 2 ? -rank : rank;
      }
      const auto log = game.report(step, values);
      if (step == 1 && generation == 2) stops = static_cast<std::int64_t>(log.size());
    }
    EXPECT_GE(first, 0);
  }
  return stops;
}

TEST(Hyperband, ARungThatMisleadsStopsNobody) {
  EXPECT_GT(stopped_at_the_first_rung(false, "hyperband"), 5);
  EXPECT_EQ(stopped_at_the_first_rung(true, "hyperband"), 0);
}

TEST(Hyperband, ARungThatTellsHowTrialsEndGetsMoreOfThem) {
  EXPECT_GT(stopped_at_the_first_rung(false, "hyperband"), stopped_at_the_first_rung(false, "hyperband", false));
}

// A cohort of 34 after 68 others that were of the same values: of 102 the best 34 go on, so 22 or more stop.
TEST(Asha, ARungThatMisleadsStopsNobody) {
  EXPECT_GE(stopped_at_the_first_rung(false, "asha"), 22);
  EXPECT_EQ(stopped_at_the_first_rung(true, "asha"), 0) << "11 survivors in the opposite order, by the third cohort";
  EXPECT_GE(stopped_at_the_first_rung(true, "asha", false), 22) << "no guard, no doubt";
}

TEST(Median, AStepThatMisleadsStopsNobody) {
  EXPECT_GE(stopped_at_the_first_rung(false, "median"), 17) << "half of 34, or more with the survivors of the others";
  EXPECT_EQ(stopped_at_the_first_rung(true, "median"), 0);
  EXPECT_GE(stopped_at_the_first_rung(true, "median", false), 17);
}

// Twelve of 24 come to the second level, in the opposite order.
Log second_cohort_at_the_first_rung(const std::string& scheduler, bool guard) {
  Params options = halving(1, 2);
  options.emplace_back("guard", guard);
  Game game(scheduler, options, {.trials = 100, .max_steps = 8, .concurrent = 24});
  game.ask(24);
  std::map<std::int64_t, double> first, second, later;
  for (std::int64_t id = 0; id < 24; ++id) first[id] = static_cast<double>(id);
  EXPECT_EQ(game.report(1, first).size(), 12u);
  for (std::int64_t id = 0; id < 12; ++id) second[id] = static_cast<double>(-id);
  EXPECT_EQ(game.report(2, second), (Log{"pause 0", "pause 1", "pause 2", "pause 3", "pause 4", "pause 5"}));
  EXPECT_EQ(game.ask(18).size(), 18u);
  for (std::int64_t id = 24; id < 42; ++id) later[id] = static_cast<double>(id);
  return game.report(1, later);
}

TEST(Promotion, NobodyPausesAtARungThatMisleads) {
  for (const char* scheduler : {"asha_promotion", "pasha"}) {
    EXPECT_EQ(second_cohort_at_the_first_rung(scheduler, true), Log{}) << scheduler;
    EXPECT_EQ(second_cohort_at_the_first_rung(scheduler, false).size(), 18u + 9u)
        << scheduler << ": of 42 the best 21 go on, nine of them waited";
  }
}

TEST(LevelGuard, LevelsWithoutRungsStartAtTheFirstLookAndTriple) {
  EXPECT_EQ(guard_levels(0, 10, 100), (Ids{10, 30, 90, 100}));
  EXPECT_EQ(guard_levels(5, 10, 100), (Ids{15, 35, 95, 100}));
  EXPECT_EQ(guard_levels(100, 10, 100), Ids{100}) << "no look before the end";
  EXPECT_EQ(guard_levels(0, 1, std::numeric_limits<std::int64_t>::max()).size(), 41u) << "3^39 is the last below it";
}

TEST(LevelGuard, SurvivorsMustBeInTheOppositeOrder) {
  const auto trusted = [](const std::vector<double>& later) {
    LevelGuard guard({1, 3, 9}, kSurvivors);
    for (std::size_t i = 0; i < later.size(); ++i) {
      guard.compare({.id = {static_cast<std::int64_t>(i)}, .values = {{1, i}, {3, later[i]}}, .step = 3});
    }
    return guard.is_trusted(0);
  };
  EXPECT_TRUE(trusted({3, 2, 1})) << "three are too few";
  EXPECT_FALSE(trusted({4, 3, 2, 1}));
  EXPECT_FALSE(trusted({2, 4, 3, 1})) << "two of six pairs in the same order: tau -1/3";
  EXPECT_TRUE(trusted({2, 4, 1, 3})) << "three of six: tau 0";
}

}  // namespace
}  // namespace finetune::testing
