// Scheduler cut: all trials wait at a share of the steps, the best goes on alone.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tuners/game.h"
#include "tuners/schedulers/cut_size.h"

namespace finetune::testing {
namespace {

Params share(double part, std::int64_t keep = 1) {
  return {{"share", part}, {"keep", keep}};
}

TEST(Cut, LiesAtTheShareButNotBeforeTheFirstLook) {
  EXPECT_EQ(cut_step(0.2, 100, 1), 20);
  EXPECT_EQ(cut_step(0.25, 10, 1), 3) << "rounded up";
  EXPECT_EQ(cut_step(0.1, 30, 1), 3) << "and not to 4, as 0.1 x 30 is in doubles";
  EXPECT_EQ(cut_step(0.01, 10, 1), 1);
  EXPECT_EQ(cut_step(0.1, 10, 4), 4);
  EXPECT_EQ(cut_step(1, 10, 1), 10);
}

TEST(Cut, ABudgetLeavesRoomForTheOnesThatGoOn) {
  EXPECT_EQ(cut_trials(1600, 20, 100, 1), 76) << "76 x 20 + 80 = 1600";
  EXPECT_EQ(cut_trials(1619, 20, 100, 1), 76);
  EXPECT_EQ(cut_trials(1600, 20, 100, 4), 64) << "64 x 20 + 4 x 80 = 1600";
  EXPECT_EQ(cut_trials(100, 20, 100, 1), 1);
  EXPECT_EQ(cut_trials(60, 20, 100, 1), 3) << "no room for a whole trial";
  EXPECT_EQ(cut_trials(5, 20, 100, 1), 1);
}

TEST(Cut, AllWaitAndTheBestGoesOnAlone) {
  Game game("cut", share(0.2), {.trials = 4, .max_steps = 10, .concurrent = 2});
  EXPECT_EQ(game.ask(2), (Log{"new 0", "new 1"}));
  EXPECT_EQ(game.tuner().next_milestone({0}), 2);
  EXPECT_EQ(game.report(1, {{0, 3}, {1, 4}}), Log{});
  EXPECT_EQ(game.report(2, {{0, 3}, {1, 4}}), (Log{"pause 0", "pause 1"}));
  EXPECT_EQ(game.ask(2), (Log{"new 2", "new 3"}));
  EXPECT_EQ(game.report(2, {{2, 1}}), Log{"pause 2"}) << "3 is still on its way";
  EXPECT_EQ(game.report(2, {{3, 2}}), (Log{"pause 3", "resume 2"}));
  EXPECT_EQ(game.tuner().next_milestone({2}), 10);
  EXPECT_EQ(game.report(9, {{2, 5}}), Log{}) << "nothing is compared after the cut";
  EXPECT_EQ(game.report(10, {{2, 5}}), (Log{"stop 0", "stop 1", "stop 3"}));
  EXPECT_EQ(game.tuner().find({2})->state, TrialState::completed);
}

TEST(Cut, TheBestNeedNotPauseWhenItArrivesLast) {
  Game game("cut", share(0.2), {.trials = 2, .max_steps = 10});
  game.ask(2);
  EXPECT_EQ(game.report(2, {{0, 3}}), Log{"pause 0"});
  EXPECT_EQ(game.report(2, {{1, 2}}), Log{}) << "paused and resumed by one answer";
}

TEST(Cut, TheNextBestGoesOnWhenTheBestFails) {
  Game game("cut", share(0.2), {.trials = 3, .max_steps = 10, .concurrent = 3});
  game.ask(3);
  EXPECT_EQ(game.report(2, {{0, 3}, {1, 1}, {2, 2}}), (Log{"pause 0", "pause 2"}));
  EXPECT_EQ(game.report(5, {{1, std::nan("")}}), (Log{"resume 2", "stop 1"}));
  EXPECT_EQ(game.fail(2), Log{"resume 0"});
  EXPECT_EQ(game.report(10, {{0, 3}}), Log{});
  EXPECT_EQ(game.tuner().find({0})->state, TrialState::completed);
}

TEST(Cut, NobodyWaitsForATrialThatFailsOnItsWay) {
  Game game("cut", share(0.2), {.trials = 3, .max_steps = 10, .concurrent = 3});
  game.ask(3);
  game.report(2, {{0, 3}, {1, 1}});
  EXPECT_EQ(game.fail(2), Log{"resume 1"});
}

TEST(Cut, KeepsSeveralAsFarAsThereIsRoom) {
  Game game("cut", share(0.2, 3), {.trials = 4, .max_steps = 10, .concurrent = 2});
  game.ask(2);
  game.report(2, {{0, 4}, {1, 3}});
  game.ask(2);
  EXPECT_EQ(game.report(2, {{2, 2}, {3, 1}}), Log{}) << "2 and 3 go on at once";
  EXPECT_EQ(game.report(10, {{3, 1}}), Log{"resume 1"});
  EXPECT_EQ(game.report(10, {{2, 2}}), Log{}) << "1 is still on its way";
  EXPECT_EQ(game.report(10, {{1, 3}}), Log{"stop 0"});
}

TEST(Cut, UnderABudgetItStartsAsManyAsLeaveRoom) {
  Game game("cut", share(0.2), {.trials = 1000, .max_steps = 10, .concurrent = 8, .budget_steps = 20});
  EXPECT_EQ(game.ask(8).size(), 6u) << "6 x 2 + 8 = 20";
  EXPECT_TRUE(game.tuner().exhausted());
  EXPECT_EQ(game.report(2, {{0, 6}, {1, 5}, {2, 4}, {3, 3}, {4, 2}, {5, 1}}).size(), 5u);
  EXPECT_EQ(game.report(9, {{5, 1}}), Log{});
  game.report(10, {{5, 1}});
  EXPECT_EQ(game.tuner().find({5})->state, TrialState::completed);
  EXPECT_EQ(game.tuner().ended_by(), "steps");
}

TEST(Cut, AtTheEndThereIsNone) {
  Game game("cut", share(1), {.trials = 2, .max_steps = 10, .budget_steps = 1000});
  game.ask(2);
  EXPECT_EQ(game.report(9, {{0, 1}, {1, 2}}), Log{});
  EXPECT_EQ(game.report(10, {{0, 1}, {1, 2}}), Log{});
  EXPECT_EQ(game.tuner().find({1})->state, TrialState::completed);
}

TEST(Cut, GoesOnAfterALoadAsIfNothingHadBeen) {
  const TunerOptions options{.trials = 1000, .max_steps = 10, .concurrent = 3, .budget_steps = 14};
  Game game("cut", share(0.2), options), other("cut", share(0.2), options);
  game.ask(3);
  game.report(2, {{0, 3}, {1, 1}});
  other.tuner().load(nlohmann::json::parse(game.tuner().save().dump()));
  for (Game* each : {&game, &other}) {
    EXPECT_TRUE(each->tuner().exhausted()) << "three have started: 3 x 2 + 8 = 14";
    EXPECT_EQ(each->report(2, {{2, 2}}), (Log{"pause 2", "resume 1"}));
    EXPECT_EQ(each->fail(1), Log{"resume 2"});
  }
  EXPECT_EQ(game.tuner().save(), other.tuner().save());
}

}  // namespace
}  // namespace finetune::testing
