// Methods by name, the choice among them rule by rule, and what a method is expected to cost.
#include <gtest/gtest.h>

#include "core/error.h"
#include "tuners/method.h"

namespace finetune::testing {
namespace {

std::string named(const std::string& name) {
  const Method method = method_by_name(name);
  return method.sampler + "+" + method.scheduler;
}

std::string chosen(const MethodFacts& facts) {
  const Method method = choose_method(facts).method;
  return method.sampler + "+" + method.scheduler;
}

TEST(Method, NamesStandForPairs) {
  EXPECT_EQ(named("bohb"), "tpe+sync_hyperband");
  EXPECT_EQ(named("mobster"), "gp+asha");
  EXPECT_EQ(named("optuna"), "tpe+median");
  EXPECT_EQ(named("optuna_hyperband"), "tpe+hyperband");
  EXPECT_EQ(named("random+asha"), "random+asha");
  EXPECT_EQ(named("cmaes+pasha"), "cmaes+pasha") << "whether they exist is the registry's to say";
  EXPECT_EQ(named("grid"), "grid+none");
  EXPECT_EQ(named("pbt"), "random+pbt");
}

TEST(Method, UnknownNamesAreRefusedWithTheNearest) {
  for (const char* name : {"", "bohp", "+asha", "random+", "+"}) EXPECT_THROW(method_by_name(name), Error) << name;
  try {
    method_by_name("bohp");
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean bohb?"), std::string::npos) << error.what();
  }
}

TEST(ChooseMethod, EachRuleHoldsWhereItShould) {
  const MethodFacts usual{.parameters = 2, .trials = 32, .full_trials = 32, .side_by_side = 4, .steps = 200};
  EXPECT_EQ(chosen(usual), "gp+hyperband");
  const auto with = [&](auto change) {
    MethodFacts facts = usual;
    change(facts);
    return chosen(facts);
  };
  EXPECT_EQ(with([](auto& f) { f.cells = 32; }), "grid+none");
  EXPECT_EQ(with([](auto& f) { f.cells = 33; }), "gp+hyperband") << "the trials do not cover it";
  EXPECT_EQ(with([](auto& f) { f.cells = 32, f.full_trials = 31; }), "gp+hyperband") << "the steps do not";
  EXPECT_EQ(with([](auto& f) { f.trials = 11; }), "sobol+asha") << "too few for a model";
  EXPECT_EQ(with([](auto& f) { f.side_by_side = 11; }), "sobol+asha") << "fewer than three generations";
  EXPECT_EQ(with([](auto& f) { f.side_by_side = 10; }), "gp+hyperband") << "three generations";
  EXPECT_EQ(with([](auto& f) { f.trials = 101; }), "tpe+hyperband");
  EXPECT_EQ(with([](auto& f) { f.parameters = 21; }), "tpe+hyperband");
  EXPECT_EQ(with([](auto& f) { f.steps = 1; }), "gp+none") << "nothing to stop";
  EXPECT_EQ(with([](auto& f) { f.steps = 1, f.trials = 5; }), "sobol+none");
  EXPECT_EQ(with([](auto& f) { f.steps = 1, f.side_by_side = 32; }), "gp+none");
}

TEST(ChooseMethod, APopulationNeedsRoomTimeAndChangeableParameters) {
  const MethodFacts population{.trials = 8, .full_trials = 8, .side_by_side = 8, .steps = 60, .all_may_change = true};
  EXPECT_EQ(chosen(population), "random+pbt");
  const auto with = [&](auto change) {
    MethodFacts facts = population;
    change(facts);
    return chosen(facts);
  };
  EXPECT_NE(with([](auto& f) { f.all_may_change = false; }), "random+pbt");
  EXPECT_NE(with([](auto& f) { f.side_by_side = 7; }), "random+pbt");
  EXPECT_NE(with([](auto& f) { f.trials = 7; }), "random+pbt");
  EXPECT_NE(with([](auto& f) { f.full_trials = 7.9; }), "random+pbt");
  EXPECT_NE(with([](auto& f) { f.steps = 59; }), "random+pbt");
}

TEST(ExpectedSteps, AreWorkedOutByHand) {
  // 27 trials of 27 steps, rungs 1 3 9: 27 x 1 + 9 x 2 + 3 x 6 + 1 x 18.
  EXPECT_DOUBLE_EQ(expected_steps("asha", 27, 27, 1, 3), 81);
  EXPECT_DOUBLE_EQ(expected_steps("none", 27, 27, 1, 3), 729);
  EXPECT_DOUBLE_EQ(expected_steps("median", 5, 10, 1, 3), 50) << "at most all";
  EXPECT_DOUBLE_EQ(expected_steps("asha", 1, 27, 1, 3), 27) << "one always goes on";
  // Steps 3: brackets of 3 trials with rung 1 (3 + 1 x 2 = 5 steps) and 2 trials without (6): 11 steps for five trials.
  EXPECT_NEAR(expected_steps("hyperband", 10, 3, 1, 3), 22, 1e-9);
  // Steps 4: the rung at 3 lies below them. Three trials 3 + 1 x 2 + 1 x 1, two trials 2 x 3 + 1 x 1: 13 for five.
  EXPECT_NEAR(expected_steps("hyperband", 10, 4, 1, 3), 26, 1e-9);
}

TEST(CountCells, IsTheProductAndNothingForAContinuum) {
  SearchSpace space{{{.name = "a", .choices = {true, false}}, {.name = "b", .low = 0, .high = 4, .integer = true}}};
  EXPECT_EQ(count_cells(space), 10);
  space.parameters.push_back({.name = "c", .low = 0, .high = 1});
  EXPECT_EQ(count_cells(space), std::nullopt);
  space.parameters.back() = {.name = "c", .low = 0, .high = 1e9, .integer = true};
  EXPECT_EQ(count_cells(space), std::nullopt);
}

TEST(Describe, SaysWhatWhyAndTheCost) {
  const MethodFacts facts{.cells = 6, .trials = 8, .full_trials = 8, .steps = 10};
  EXPECT_EQ(describe(choose_method(facts), facts, 1),
            "grid + none: the space has 6 cells, and the budget covers them all; about 6 of 6 full-length trials "
            "(60 of 60 steps)");
}

}  // namespace
}  // namespace finetune::testing
