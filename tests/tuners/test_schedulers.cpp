// Decision tables of the schedulers that pause, have brackets or watch a trajectory, worked out by hand from the
// papers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
#include "core/random.h"
#include "support/simulate.h"
#include "tuners/game.h"
#include "tuners/schedulers/improvement_model.h"
#include "tuners/schedulers/population.h"
#include "tuners/schedulers/rank_agreement.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/wilcoxon_test.h"

namespace finetune::testing {
namespace {

Ids sizes(const std::vector<Bracket>& brackets) {
  Ids list;
  for (const auto& bracket : brackets) list.push_back(bracket.trials);
  return list;
}

TEST(Brackets, AreThePapers) {
  const auto paper = hyperband_brackets(1, 3, 81);  // Li et al., table 1, with sizes rounded up
  EXPECT_EQ(sizes(paper), (Ids{81, 34, 15, 8, 5}));
  EXPECT_EQ(paper[0].rungs, (Ids{1, 3, 9, 27}));
  EXPECT_EQ(paper[3].rungs, (Ids{27}));
  EXPECT_EQ(paper[4].rungs, (Ids{})) << "its first rung is the full budget";
}

TEST(Brackets, AreExactForAwkwardSizes) {
  EXPECT_EQ(sizes(hyperband_brackets(1, 3, 27)), (Ids{27, 12, 6, 4}));
  EXPECT_EQ(sizes(hyperband_brackets(1, 3, 9)), (Ids{9, 5, 3}));
  EXPECT_EQ(sizes(hyperband_brackets(1, 3, 100)), (Ids{81, 34, 15, 8, 5}));
  EXPECT_EQ(sizes(hyperband_brackets(1, 3, 1000)), (Ids{729, 284, 114, 48, 21, 11, 7}));
  EXPECT_EQ(sizes(hyperband_brackets(1, 4, 64)), (Ids{64, 22, 8, 4}));
  EXPECT_EQ(hyperband_brackets(1, 3, 243).size(), 6u) << "log(243) / log(3) in floating point is below 5";
  EXPECT_EQ(hyperband_brackets(1, 3, 100).back().rungs, (Ids{81})) << "every rung below the budget";
  EXPECT_EQ(hyperband_brackets(10, 3, 29), (std::vector<Bracket>{{1, {10}}}));
  EXPECT_EQ(hyperband_brackets(7, 2, 30)[1].rungs, (Ids{14, 28}));
}

TEST(AshaPromotion, TheBestPauseForNobodyAndTheRestWait) {
  Game game("asha_promotion", halving(1, 3), {.trials = 100, .max_steps = 9, .concurrent = 3});
  game.ask(3);
  EXPECT_EQ(game.report(1, {{0, 3}, {1, 1}, {2, 2}}), (Log{"pause 0", "pause 2"}))
      << "the best goes on in the same answer";
  EXPECT_EQ(game.ask(2), (Log{"new 3", "new 4"})) << "nobody else is in the best third";
  EXPECT_EQ(game.report(1, {{3, 5}, {4, 6}}), (Log{"pause 3", "pause 4"}));
  game.ask(2);
  EXPECT_EQ(game.report(1, {{5, 7}, {6, 8}}), (Log{"pause 5", "pause 6", "resume 2"})) << "seven: the best two";
  EXPECT_EQ(game.report(3, {{1, 0.5}}), Log{}) << "alone at the next rung";
  EXPECT_EQ(game.tuner().next_milestone({1}), 9);
}

TEST(AshaPromotion, AFailureDoesNotKeepARungWaiting) {
  Game game("asha_promotion", halving(1, 3), {.trials = 3, .max_steps = 9, .concurrent = 3});
  game.ask(3);
  EXPECT_EQ(game.report(1, {{0, 3}, {1, 1}, {2, 2}}), (Log{"pause 0", "pause 2"}));
  EXPECT_EQ(game.fail(1), Log{"resume 2"});
  EXPECT_EQ(game.fail(0), Log{}) << "a paused trial that broke";
  EXPECT_EQ(game.report(3, {{2, 2}}), Log{});
}

TEST(SyncHyperband, ACohortWaitsForItsLastMember) {
  // Brackets of budget 9: 9 trials from step 1, 5 from step 3, 3 in full.
  Game game("sync_hyperband", halving(1, 3), {.trials = 100, .max_steps = 9, .concurrent = 4});
  game.ask(4);
  EXPECT_EQ(game.report(1, {{0, 9}, {1, 1}, {2, 2}, {3, 3}}), (Log{"pause 0", "pause 1", "pause 2", "pause 3"}));
  game.ask(4);
  EXPECT_EQ(game.report(1, {{4, 8}, {5, 7}, {6, 6}, {7, 5}}).size(), 4u);
  EXPECT_EQ(game.ask(4), (Log{"new 8", "new 9", "new 10", "new 11"})) << "the next bracket starts while this one fills";
  // Nine have arrived: 1, 2 and 3 go on as far as there is room. 8 frees the only slot.
  EXPECT_EQ(game.report(1, {{8, 4}, {9, 1}, {10, 1}, {11, 1}}),
            (Log{"resume 1", "stop 0", "stop 4", "stop 5", "stop 6", "stop 7", "stop 8"}));
  EXPECT_EQ(game.report(2, {{1, 1}, {9, 1}, {10, 1}, {11, 1}}), Log{});
  EXPECT_EQ(game.tuner().next_milestone({9}), 3);
}

TEST(SyncHyperband, AFailureDoesNotKeepARungWaiting) {
  Game game("sync_hyperband", halving(1, 3), {.trials = 100, .max_steps = 9, .concurrent = 9});
  game.ask(9);
  game.report(1, {{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 6}, {7, 7}});
  EXPECT_EQ(game.fail(8), (Log{"resume 0", "resume 1", "stop 2", "stop 3", "stop 4", "stop 5", "stop 6", "stop 7"}))
      << "eight are left, two of them go on";
}

TEST(SyncHyperband, WhenNoTrialIsLeftToStartTheCohortIsComplete) {
  Game game("sync_hyperband", halving(1, 3), {.trials = 4, .max_steps = 9, .concurrent = 4});
  game.ask(4);
  EXPECT_EQ(game.report(1, {{0, 4}, {1, 3}, {2, 2}, {3, 1}}), (Log{"stop 0", "stop 1", "stop 2"}));
  EXPECT_EQ(game.report(3, {{3, 1}}), Log{}) << "one of one goes on";
}

TEST(Hyperband, TrialsGoWhereABracketIsFurthestBehind) {
  Game game("hyperband", halving(1, 3), {.trials = 17, .max_steps = 9});
  game.ask(17);
  // Shares 9 : 5 : 3; the milestone of an unguarded trial would be its bracket's first rung.
  Game plain("hyperband", {{"min_steps", std::int64_t{1}}, {"guard", false}}, {.trials = 17, .max_steps = 9});
  plain.ask(17);
  std::map<std::int64_t, int> first_rungs;
  for (std::int64_t id = 0; id < 17; ++id) ++first_rungs[plain.tuner().next_milestone({id})];
  EXPECT_EQ(first_rungs, (std::map<std::int64_t, int>{{1, 9}, {3, 5}, {9, 3}}));
  for (std::int64_t id = 0; id < 17; ++id)
    EXPECT_EQ(game.tuner().next_milestone({id}), 1) << "the guard looks at every rung";
}

TEST(Pasha, TheMaximumGrowsOnlyWhileTheRankingIsUnstable) {
  // Levels 1 3 9 27 81; the top is 9 at first. Two trials get there.
  for (const bool unstable : {false, true}) {
    Game game("pasha", halving(1, 2), {.trials = 8, .max_steps = 16, .concurrent = 8});
    game.ask(8);  // levels 1 2 4 8 16, the top is 4
    EXPECT_EQ(game.report(1, {{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 6}, {7, 7}}).size(), 4u);
    EXPECT_EQ(game.report(2, {{0, 0}, {1, 1}, {2, 2}, {3, 3}}), (Log{"pause 2", "pause 3"}));
    if (unstable) {
      EXPECT_EQ(game.report(4, {{0, 1}, {1, 0}}), Log{"pause 0"}) << "the order has turned: the best of two goes on";
    } else {
      EXPECT_EQ(game.report(4, {{0, 0}, {1, 1}}), (Log{"pause 0", "pause 1"}));
    }
  }
}

TEST(RankAgreement, IsKendallsTau) {
  RankAgreement same, opposite, mixed;
  for (const double x : {3.0, 1.0, 2.0}) same.add(x, 10 * x), opposite.add(x, -x);
  EXPECT_DOUBLE_EQ(same.tau(), 1);
  EXPECT_DOUBLE_EQ(opposite.tau(), -1);
  mixed.add(1, 1), mixed.add(2, 3), mixed.add(3, 2);
  EXPECT_DOUBLE_EQ(mixed.tau(), 1.0 / 3) << "two pairs agree, one does not";
}

TEST(SoftRanking, ForgivesDifferencesUpToEpsilon) {
  SoftRanking swapped;
  swapped.add({2}, 5.0, 6.0);
  EXPECT_TRUE(swapped.is_alike(0)) << "one alone";
  swapped.add({0}, 1.0, 2.1), swapped.add({1}, 1.1, 2.0);
  EXPECT_FALSE(swapped.is_alike(0.05));
  EXPECT_TRUE(swapped.is_alike(0.2));
  const std::vector<std::vector<double>> curves{{0, 2, 0}, {1, 1, 1}, {5, 5, 5}, {0.5, 0.5, 3}};
  // Curves 0 and 1 flip and flip back, last distance 1; 0 and 3 do, 3; 1 and 3 flip once.
  RankingNoise noise;
  noise.add(curves[0]);
  EXPECT_DOUBLE_EQ(noise.epsilon(), 0);
  for (std::size_t i = 1; i < curves.size(); ++i) noise.add(curves[i]);
  EXPECT_DOUBLE_EQ(noise.epsilon(), 1 + 0.9 * 2) << "90th percentile of 1 and 3";
}

// One by one or all sorted at once: the same percentile. Curves of three steps between one flat curve and its mirror
// flip twice with that one, at every distance there is.
TEST(RankingNoise, IsThePercentileOfAllDistancesSoFar) {
  RankingNoise noise;
  noise.add(std::vector<double>{0, 0, 0});
  std::vector<double> distances;
  for (int i = 1; i < 60; ++i) {
    const double distance = 1 + (i * 37) % 59;  // a permutation of 1..59
    noise.add(std::vector<double>{distance, -distance, distance});
    distances.push_back(distance);
    // Of two such curves the higher at the ends is the lower in the middle: they flip twice as well.
    for (int j = 1; j < i; ++j) distances.push_back(std::abs(distance - (1 + (j * 37) % 59)));
    std::sort(distances.begin(), distances.end());
    const double rank = 0.9 * static_cast<double>(distances.size() - 1);
    const auto low = static_cast<std::size_t>(rank);
    const double high = distances[std::min(low + 1, distances.size() - 1)];
    ASSERT_DOUBLE_EQ(noise.epsilon(), distances[low] + (high - distances[low]) * (rank - std::floor(rank))) << i;
  }
}

TEST(WilcoxonTest, MatchesScipy) {
  // The maize heights of scipy's documentation: two-sided p 0.041259765625, exactly twice the one-sided one.
  const std::vector<double> heights{6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75};
  EXPECT_DOUBLE_EQ(WilcoxonTest().greater(heights), 0.041259765625 / 2);
  EXPECT_DOUBLE_EQ(WilcoxonTest().greater(std::vector<double>{1, 2, 3}), 1.0 / 8) << "one sign pattern of eight";
  // Rank sum 5.5 with the zero's rank halved, mean 3, variance 3.5.
  EXPECT_NEAR(WilcoxonTest().greater(std::vector<double>{0, 1, 2}), 0.5 * std::erfc(2.5 / std::sqrt(2 * 3.5)), 1e-12);
  // Ties: ranks 1.5 1.5 3, sum 6, variance 3.5 - 6/48.
  EXPECT_NEAR(WilcoxonTest().greater(std::vector<double>{1, 1, 2}), 0.5 * std::erfc(3 / std::sqrt(2 * 3.375)), 1e-12);
}

// What may still come is anything: more of either sign, of any size, ties and zeros.
TEST(WilcoxonTest, IsIdleOnlyWhileNoDifferencesCanMakeItSignificant) {
  Random random(3, Purpose::test);
  std::int64_t promised = 0;
  for (int round = 0; round < 300; ++round) {
    WilcoxonTest test;
    std::vector<double> differences;
    const double grid = round % 3 == 0 ? 4 : 1e6;  // few different values, or hardly any equal ones
    const auto draw = [&](double shift) { return std::round(grid * (random.normal() + shift)) / grid; };
    for (std::uint64_t n = 1 + random.below(120); n > 0; --n) differences.push_back(draw(0.1));
    const std::int64_t idle = test.idle(differences, 0.1);
    promised += idle;
    const double worst = 10 + random.uniform();
    for (std::int64_t k = 0; k <= idle; ++k) {
      if (idle == 0) break;  // it may be significant already
      EXPECT_GE(test.greater(differences), 0.1) << "round " << round << ", " << k << " of " << idle;
      differences.push_back(round % 2 == 0 ? worst + static_cast<double>(k) : draw(2));
    }
  }
  EXPECT_GT(promised, 300) << "more steps without a test than tests";
}

TEST(Wilcoxon, StopsWhoIsWorseStepByStep) {
  Game game("wilcoxon", {}, {.trials = 2, .max_steps = 20});
  game.ask(2);
  // One-sided p after n worse steps without ties: 1/2, 1/4, 1/8, 1/16 < 0.1.
  EXPECT_EQ(game.report(1, {{0, 1.0}, {1, 1.1}}), Log{});
  EXPECT_EQ(game.report(2, {{0, 1.0}, {1, 1.2}}), Log{});
  EXPECT_EQ(game.report(3, {{0, 1.0}, {1, 1.3}}), Log{});
  EXPECT_EQ(game.report(4, {{0, 1.0}, {1, 1.4}}), Log{"stop 1"});
}

// Every look is a validation pass: without an option of its own a scheduler takes the host's. A trial's present step
// counts too.
TEST(Looks, AreAsFarApartAsTheHostSays) {
  const auto milestones = [](const std::string& name, const Params& options, std::int64_t apart) {
    Game game(name, options, {.trials = 1, .max_steps = 100, .default_min_steps = apart});
    game.ask(1);
    Ids list;
    for (const std::int64_t step : {1, 10, 24}) {
      game.report(step, {{0, 1.0}});
      list.push_back(game.tuner().next_milestone({0}));
    }
    return list;
  };
  EXPECT_EQ(milestones("median", {}, 10), (Ids{10, 10, 30}));
  EXPECT_EQ(milestones("median", {{"interval", std::int64_t{5}}}, 10), (Ids{5, 10, 25}));
  EXPECT_EQ(milestones("patient", {}, 10), (Ids{10, 10, 30}));
  EXPECT_EQ(milestones("wilcoxon", {}, 10), (Ids{10, 10, 30}));
  EXPECT_EQ(milestones("threshold", {{"upper", 2.0}, {"warmup_steps", std::int64_t{30}}}, 10), (Ids{40, 40, 40}));
  for (const char* name : {"median", "patient", "wilcoxon"})
    EXPECT_EQ(milestones(name, {}, 1), (Ids{1, 10, 24})) << name << ", as in asktell";
}

TEST(EarlyExit, KeepsTheBestQuarterAfterWarmUp) {
  Game game("early_exit", {}, {.trials = 8, .max_steps = 100});
  game.ask(8);
  std::map<std::int64_t, double> values;
  for (std::int64_t id = 0; id < 8; ++id) values[id] = static_cast<double>(id);
  EXPECT_EQ(game.report(4, values), Log{});
  EXPECT_EQ(game.tuner().next_milestone({0}), 5) << "5 % of 100";
  EXPECT_EQ(game.report(5, values), (Log{"stop 2", "stop 3", "stop 4", "stop 5", "stop 6", "stop 7"}));
}

TEST(EarlyExit, ALossThatKeepsRisingIsStoppedOnceTheSwitchIsOn) {
  for (const bool rising : {true, false}) {
    Game game("early_exit", {{"rising", rising}}, {.trials = 1, .max_steps = 20});
    game.ask(1);  // an evaluation every step
    EXPECT_EQ(game.report(1, {{0, 2.0}}), Log{});
    EXPECT_EQ(game.report(2, {{0, 1.0}}), Log{});
    EXPECT_EQ(game.report(3, {{0, 1.1}}), Log{}) << "one rise";
    EXPECT_EQ(game.report(4, {{0, 1.2}}), rising ? Log{"stop 0"} : Log{});
  }
}

TEST(EarlyExit, ANoisyPlateauIsNotARise) {
  Game game("early_exit", {}, {.trials = 1, .max_steps = 20});
  game.ask(1);
  double value = 2.0;
  for (std::int64_t step = 1; step <= 10; ++step, value = 0.5 + 0.004 * static_cast<double>(step % 3)) {
    EXPECT_EQ(game.report(step, {{0, value}}), Log{}) << "rises of 0.004 against a gain of 1.5";
  }
}

TEST(EarlyExit, AGapBetweenValidationAndTrainingStopsAtTheSecondSight) {
  for (const double gap : {0.1, 0.3, 0.0}) {
    Game game("early_exit", {{"gap", gap}}, {.trials = 1, .max_steps = 20});
    game.ask(1);
    EXPECT_EQ(game.report(1, {{0, 1.2}}, 1.0), Log{});
    EXPECT_EQ(game.report(2, {{0, 1.2}}, 1.0), gap == 0.1 ? Log{"stop 0"} : Log{}) << gap;
  }
  Game silent("early_exit", {}, {.trials = 1, .max_steps = 20});
  silent.ask(1);
  for (std::int64_t step = 1; step < 5; ++step) EXPECT_EQ(silent.report(step, {{0, 1.2}}), Log{}) << "no training loss";
}

Params toy_options(const std::string& exploit) {
  return {{"exploit", exploit}, {"interval", std::int64_t{10}}};
}

TEST(Pbt, TheToyOfThePaperIsSolvedByCopyingAlone) {
  // Each setting trains one of two weights; fixed ones end at 0.81. The paper's Q > 1.19 is a loss below 0.01.
  for (const std::string exploit : {"truncation", "tournament"}) {
    const auto problem = curves::pbt_toy();
    const SimulatedStudy study{
        .scheduler = "pbt", .scheduler_options = toy_options(exploit), .trials = 4, .concurrent = 4, .steps = 800};
    EXPECT_LT(simulate(problem, study).regret, 0.01) << exploit;
  }
}

double median_regret(const std::string& scheduler, std::int64_t members) {
  const auto problem = curves::drift();
  std::vector<double> regrets;
  for (std::uint64_t seed = 0; seed < 9; ++seed) {
    regrets.push_back(
        simulate(
            problem,
            {.scheduler = scheduler, .trials = members, .concurrent = members, .steps = 200 * members, .seed = seed})
            .regret);
  }
  std::sort(regrets.begin(), regrets.end());
  return regrets[4];
}

TEST(Populations, BeatEveryFixedRateWhereTheBestOneDrifts) {
  // 0.0156 is the minimum over all fixed rates, so over the members' own first ones too.
  EXPECT_LT(median_regret("pbt", 8), 0.0156);
  EXPECT_LT(median_regret("pb2", 8), 0.0156);
}

TEST(Pb2, NeedsFewerMembersThanPbt) {
  EXPECT_LT(median_regret("pb2", 4), median_regret("pbt", 4));
  EXPECT_LT(median_regret("pb2", 4), 1.1 * median_regret("pbt", 8)) << "measured over 20 seeds: 0.0077 and 0.0082";
}

TEST(ImprovementModel, PrefersWhatHelpedLastAndForgets) {
  std::vector<ImprovementRow> rows;
  for (std::int64_t round = 1; round <= 40; ++round) {
    const double good = round <= 20 ? 0.8 : 0.2;  // the best setting moves
    for (const double x : {0.2, 0.5, 0.8}) rows.push_back({round, 0.5, {x}, 1 - std::abs(x - good)});
  }
  const ImprovementModel model(rows);
  const auto bound = [&](double x) { return model.upper_bound({41, 0.5, {x}, 0}); };
  EXPECT_GT(bound(0.2), bound(0.5));
  EXPECT_GT(bound(0.5), bound(0.8));
}

TEST(ImprovementModel, APendingRowLowersTheBoundAroundIt) {
  const std::vector<ImprovementRow> rows{
      {1, 0.5, {0.1}, 1}, {1, 0.5, {0.2}, 2}, {2, 0.5, {0.1}, 1}, {2, 0.5, {0.2}, 2}};
  ImprovementModel model(rows);
  const ImprovementRow far{3, 0.5, {0.9}, 0}, near{3, 0.5, {0.1}, 0};
  const double far_before = model.upper_bound(far);
  model.add_pending(far);
  EXPECT_LT(model.upper_bound(far), far_before);
  EXPECT_NEAR(model.upper_bound(near), ImprovementModel(rows).upper_bound(near), 1e-3) << "far away nothing changes";
}

TEST(ImprovementModel, AFailedRowRepels) {
  std::vector<ImprovementRow> rows{{1, 0.5, {0.2}, 1}, {1, 0.5, {0.4}, 1.1}, {1, 0.5, {0.9}, 0, true}};
  const ImprovementModel model(rows);
  EXPECT_LT(model.upper_bound({2, 0.5, {0.9}, 0}), model.upper_bound({2, 0.5, {0.4}, 0}));
}

TEST(Population, DiversityIsOneForUniformAndZeroForEqualMembers) {
  const SearchSpace space{{{.name = "x", .low = 0, .high = 1}, {.name = "fixed", .low = 0, .high = 1}}};
  std::vector<TrialRecord> trials;
  for (int i = 0; i < 100; ++i) trials.push_back({.id = {i}, .params = {{"x", (i + 0.5) / 100}, {"fixed", 0.5}}});
  std::vector<const TrialRecord*> members, twins{&trials[3], &trials[3]};
  for (const auto& trial : trials) members.push_back(&trial);
  const std::vector<std::string> mutate{"x"};
  EXPECT_NEAR(diversity(space, mutate, members), 1, 1e-3);
  EXPECT_EQ(diversity(space, mutate, twins), 0);
  EXPECT_EQ(diversity(space, mutate, std::span(members).first(1)), 0);
}

// Eight equal members, without perturbation: only fresh blood can bring new settings.
std::size_t new_settings_of_a_collapsed_population(double fresh_rate) {
  const SearchSpace space{{{.name = "x", .choices = {std::int64_t{1}}}, {.name = "y", .low = 0, .high = 1}}};
  const TunerOptions options{.trials = 8, .max_steps = 1000};
  const auto pbt = make_scheduler(
      "pbt",
      {{{"resample_probability", 0.0}, {"factors", std::string("1")}, {"fresh_rate", fresh_rate}}, space, options});
  std::vector<TrialRecord> trials;
  for (std::int64_t i = 0; i < 8; ++i)
    trials.push_back({.id = {i},
                      .params = {{"x", std::int64_t{1}}, {"y", 0.5}},
                      .values = {{10, static_cast<double>(i)}},
                      .step = 10});
  std::vector<const TrialRecord*> reported;
  for (const auto& trial : trials) reported.push_back(&trial);
  std::vector<Action> actions;
  for (int k = 0; k < 100; ++k) pbt->on_reports(reported, trials, actions);
  return static_cast<std::size_t>(std::count_if(actions.begin(), actions.end(), [](const Action& action) {
    return as_number(*find_param(action.params, "y")) != 0.5;
  }));
}

TEST(Pbt, ACollapsedPopulationGetsFreshBloodAtTheStatedRate) {
  EXPECT_EQ(new_settings_of_a_collapsed_population(0), 0u);
  EXPECT_EQ(new_settings_of_a_collapsed_population(1), 200u) << "two copies in each of 100 rounds";
  // 200 draws at 0.3: 60 with a standard deviation of 6.5; five of them aside.
  EXPECT_NEAR(static_cast<double>(new_settings_of_a_collapsed_population(0.3)), 60, 33);
}

TEST(Pbt, InATournamentOnlyTheWorseHalfCopiesAndOnlyFromBetterOnes) {
  Game game("pbt", {{"exploit", std::string("tournament")}, {"interval", std::int64_t{1}}},
            {.trials = 6, .max_steps = 100});
  game.ask(6);
  std::size_t copies = 0;
  for (std::int64_t step = 1; step < 50; ++step) {
    const auto log = game.report(step, {{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}});
    for (const auto& line : log) EXPECT_TRUE(line == "copy 3" || line == "copy 4" || line == "copy 5") << line;
    copies += log.size();
  }
  // The last always loses, the fourth with probability 3/5, the fifth 4/5: 2.4 a round.
  EXPECT_NEAR(static_cast<double>(copies) / 49, 2.4, 0.5);
}

std::unique_ptr<Scheduler> replay(const std::string& schedule) {
  const SearchSpace space{{{.name = "train.learning_rate", .low = 1e-5, .high = 1e-2, .log = true},
                           {.name = "train.lora.rank", .low = 4, .high = 64, .integer = true},
                           {.name = "kind", .choices = {std::string("a"), std::string("b")}},
                           {.name = "only_b", .low = 0, .high = 1, .when = {{"kind", {std::string("b")}}}}}};
  const TunerOptions tuner{.max_steps = 30,
                           .may_change = [](const std::string& name) { return name != "train.lora.rank"; }};
  return make_scheduler("replay", {{{"schedule", schedule}}, space, tuner});
}

TEST(Replay, ChangesAtItsStepsWhatDiffers) {
  const auto scheduler =
      replay("10 train.learning_rate=0.001,20 train.learning_rate=0.002,30 train.learning_rate=0.003");
  TrialRecord trial{.id = {0}, .params = {{"train.learning_rate", 0.002}}};
  const TrialRecord* reported[] = {&trial};
  std::string said;
  for (trial.step = 1; trial.step <= 30; ++trial.step) {
    std::vector<Action> actions;
    scheduler->on_reports(reported, {}, actions);
    for (const Action& action : actions) {
      EXPECT_EQ(action.what, Action::Do::change);
      set_param(trial.params, "train.learning_rate", action.params.front().second);
      said += std::to_string(trial.step) + ":" + to_text(action.params.front().second) + " ";
    }
  }
  EXPECT_EQ(said, "10:0.001 20:0.002 ") << "nothing at the last step, after which nothing is trained";
}

TEST(Replay, RefusesAScheduleThatCannotBeByItsReason) {
  const auto refusal = [](const std::string& schedule) -> std::string {
    try {
      replay(schedule);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(refusal("").find("tune.scheduler.schedule is missing"), std::string::npos);
  EXPECT_NE(refusal("0 train.learning_rate=0.001").find("a step of at least 1, not 0"), std::string::npos);
  EXPECT_NE(refusal("x train.learning_rate=0.001").find("not x"), std::string::npos);
  EXPECT_NE(refusal("9 train.learning_rate=0.001,9 train.learning_rate=0.002").find("order"), std::string::npos);
  EXPECT_NE(refusal("9 train.learning_rate").find("NAME=VALUE"), std::string::npos);
  EXPECT_NE(refusal("9 train.learning_rat=0.1").find("did you mean train.learning_rate"), std::string::npos);
  EXPECT_NE(refusal("9 train.learning_rate=0.1").find("allowed: 1e-05 to 0.01"), std::string::npos);
  EXPECT_NE(refusal("9 train.lora.rank=8").find("cannot change during training"), std::string::npos);
  EXPECT_NE(refusal("9 kind=b").find("other parameters depend"), std::string::npos);
}

}  // namespace
}  // namespace finetune::testing
