// A trial counts for a rung or interval with its first report at or past it: every scheduler, whatever the steps
// between reports; and nobody is judged before trials have learned anything.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tuners/game.h"
#include "tuners/schedulers/level_guard.h"
#include "tuners/schedulers/rungs.h"

namespace finetune::testing {
namespace {

constexpr std::int64_t kSteps = 100;

Params options_of(const std::string& scheduler) {
  if (scheduler == "threshold") return {{"upper", 20.0}};
  if (scheduler == "replay") return {{"schedule", std::string("20 x=0.5,45 x=0.25")}};
  return {};
}

// Constant differences between trials, and every third one rises from the first step on: something for every rule.
double loss(std::int64_t id, std::int64_t step) {
  return static_cast<double>(id) + (id % 3 == 2 ? static_cast<double>(step) : 1.0 / static_cast<double>(step));
}

struct Studied {
  std::int64_t actions = 0, first_step = kSteps;  // before the full budget; resumes do not count
};

// 27 trials side by side that report after every `every` steps, and at the end.
Studied study(const std::string& scheduler, std::int64_t every, TunerOptions options, const Params& given) {
  const SearchSpace space{{{.name = "x", .low = 0.1, .high = 10, .log = true}}};
  options.trials = 27, options.max_steps = kSteps, options.concurrent = 27;
  Tuner tuner(options, make_sampler("random", {{}, space, 0}), make_scheduler(scheduler, {given, space, options}));
  Studied seen;
  std::vector<Action> actions;
  tuner.ask(27, actions);
  for (int round = 0; round < 2 * kSteps; ++round) {
    std::vector<Report> reports;
    for (const TrialRecord& trial : tuner.trials()) {
      if (trial.state != TrialState::running) continue;
      const std::int64_t step = std::min(kSteps, trial.step + every);
      reports.push_back({.trial = trial.id, .step = step, .metric = loss(trial.id.value, step)});
    }
    if (reports.empty()) break;
    actions.clear();
    tuner.report(reports, actions);
    for (const Action& action : actions) {
      const std::int64_t step = tuner.find(action.trial)->step;
      if (action.what == Action::Do::resume || step == kSteps) continue;
      ++seen.actions;
      seen.first_step = std::min(seen.first_step, step);
    }
  }
  return seen;
}

TEST(SparseReports, EverySchedulerActsAsItDoesWithAReportAtEveryStep) {
  for (const std::string& scheduler : scheduler_names()) {
    const auto acts = [&](std::int64_t every) { return study(scheduler, every, {}, options_of(scheduler)).actions; };
    EXPECT_EQ(acts(1) > 0, scheduler != "none") << scheduler << ": the objective has something for every rule";
    for (const std::int64_t every : {7, 10}) EXPECT_EQ(acts(every) > 0, acts(1) > 0) << scheduler << " every " << every;
  }
}

TEST(SparseReports, NobodyIsJudgedBeforeTrialsHaveLearned) {
  for (const std::string& scheduler : scheduler_names()) {
    Params given = options_of(scheduler);
    const std::set<std::string> with_rungs{"asha", "asha_promotion", "pasha", "hyperband", "sync_hyperband"};
    if (with_rungs.contains(scheduler)) given.emplace_back("min_steps", std::int64_t{1});
    if (scheduler == "pbt" || scheduler == "pb2" || scheduler == "median" || scheduler == "percentile")
      given.emplace_back("interval", std::int64_t{1});
    if (scheduler == "early_exit") given.emplace_back("warmup", 0.01);
    if (scheduler == "cut") given.emplace_back("share", 0.01);
    if (scheduler == "threshold") given = {{"upper", 1.0}};
    const TunerOptions options{.first_look = 4};
    const Studied seen = study(scheduler, 1, options, given);
    EXPECT_EQ(seen.actions > 0, scheduler != "none") << scheduler;
    EXPECT_GE(seen.first_step, 4) << scheduler;
    if (scheduler != "replay" && scheduler != "none") {
      EXPECT_LT(study(scheduler, 1, {}, given).first_step, 15) << scheduler << " would have acted early";
    }

    Game game(scheduler, given, {.trials = 1, .max_steps = kSteps, .first_look = 4});
    game.ask(1);
    for (const std::int64_t step : {1, 2, 3}) EXPECT_FALSE(game.tuner().is_milestone({0}, step)) << scheduler;
    EXPECT_GE(game.tuner().next_milestone({0}), 4) << scheduler;
    const Looks looks = game.tuner().looks();
    for (const std::int64_t rung : looks.rungs) EXPECT_GE(rung, 4) << scheduler;
  }
}

std::map<std::int64_t, double> ranked(std::int64_t count, std::int64_t from = 0) {
  std::map<std::int64_t, double> values;
  for (std::int64_t id = from; id < from + count; ++id) values[id] = static_cast<double>(id);
  return values;
}

Log reasons(const std::string& scheduler, const Params& options, std::int64_t trials, std::int64_t step) {
  const SearchSpace space{{{.name = "x", .low = 0.1, .high = 10}}};
  const TunerOptions tuner_options{.trials = trials, .max_steps = 100};
  Tuner tuner(tuner_options, make_sampler("random", {{}, space, 0}),
              make_scheduler(scheduler, {options, space, tuner_options}));
  std::vector<Action> actions;
  tuner.ask(trials, actions);
  std::vector<Report> reports;
  for (const auto& [id, value] : ranked(trials)) reports.push_back({.trial = {id}, .step = step, .metric = value});
  tuner.report(reports, actions);
  Log log;
  for (const Action& action : actions) log.push_back(std::to_string(action.trial.value) + " " + action.reason);
  return log;
}

TEST(SparseReports, WhoPassesSeveralRungsIsJudgedAtEachTheLowestFirst) {
  // Rungs 1 3 9 27 81. Nine come with step 10: three of nine are left at rung 1, one of three at rung 3.
  Params plain = halving(1, 3);
  plain.emplace_back("guard", false);
  const std::string first = " rung 1: not among the best 3 of 9", second = " rung 3: not among the best 1 of 3";
  EXPECT_EQ(reasons("asha", plain, 9, 10), (Log{"3" + first, "4" + first, "5" + first, "6" + first, "7" + first,
                                                "8" + first, "1" + second, "2" + second}));
}

TEST(SparseReports, ARungKeepsTheFirstValueAtOrPastIt) {
  Params plain = halving(3, 3);
  plain.emplace_back("guard", false);
  Game game("asha", plain, {.trials = 6, .max_steps = 100});
  game.ask(6);  // rungs 3 9 27 81
  EXPECT_EQ(game.report(2, {{0, 0}, {1, 1}, {2, 2}}), Log{});
  EXPECT_EQ(game.report(4, {{0, 5}, {1, 6}, {2, 7}}), (Log{"stop 1", "stop 2"}));
  EXPECT_EQ(game.report(6, {{0, 9}}), Log{}) << "judged at rung 3 already";
  // 5 stands there with the 5 of step 4, not with the 9 of step 6: of six the best two go on, 5 and 5.5.
  EXPECT_EQ(game.report(3, {{3, 5.5}, {4, 6}, {5, 7}}), (Log{"stop 4", "stop 5"}));
}

TEST(SparseReports, APromotedTrialStandsAtTheNextRungItHasPassed) {
  for (const std::string scheduler : {"asha_promotion", "pasha"}) {
    Params plain = halving(1, 3);
    plain.emplace_back("guard", false);
    Game game(scheduler, plain, {.trials = 100, .max_steps = 100, .concurrent = 9});
    game.ask(9);  // levels 1 3 9 27 81 100
    Log others;
    for (int id = 1; id < 9; ++id) others.push_back("pause " + std::to_string(id));
    EXPECT_EQ(game.report(10, ranked(9)), others) << scheduler << ": three stand at rung 3, one of them at rung 9";
    EXPECT_EQ(game.tuner().next_milestone({0}), 27);
    EXPECT_EQ(game.report(20, {{0, 0.0}}), Log{});
  }
}

TEST(SparseReports, PashaGoesOnWhereNobodyReportedBetweenItsHighestRungs) {
  Game game("pasha", halving(1, 2), {.trials = 2, .max_steps = 64, .concurrent = 2});
  game.ask(2);  // levels 1 2 4 8 16 32 64; the top is 4 at first, passed by the first report
  EXPECT_EQ(game.report(5, ranked(2)), Log{"pause 1"}) << "one value for levels 1, 2 and 4 says nothing of their order";
  EXPECT_EQ(game.report(10, {{0, 0.0}}), Log{"pause 0"}) << "one trial at 8, ranked as at 4: high enough";
}

TEST(SparseReports, ACohortIsHalvedOnceForEachRungThatAllHavePassed) {
  Game game("sync_hyperband", halving(1, 3), {.trials = 9, .max_steps = 10, .concurrent = 9});
  game.ask(9);  // nine, rungs 1 3 9
  Log others;
  for (int id = 1; id < 9; ++id) others.push_back("stop " + std::to_string(id));
  EXPECT_EQ(game.report(5, ranked(9)), others);
  EXPECT_EQ(game.report(10, {{0, 0.0}}), Log{});
  EXPECT_EQ(game.tuner().find({0})->state, TrialState::completed);
}

TEST(SparseReports, ACohortWaitsForThoseWhoHaveNotPassedItsNextRung) {
  Game game("sync_hyperband", halving(1, 3), {.trials = 9, .max_steps = 10, .concurrent = 9});
  game.ask(9);
  EXPECT_EQ(game.report(5, ranked(8)).size(), 8u) << "they pause";
  // 8 is the best of all and has not passed rung 3: it goes on, 0 and 1 have and wait for it.
  Log others;
  for (int id = 2; id < 8; ++id) others.push_back("stop " + std::to_string(id));
  EXPECT_EQ(game.report(1, {{8, -1.0}}), others);
  EXPECT_EQ(game.report(3, {{8, -1.0}}), (Log{"stop 0", "stop 1"}));
}

TEST(SparseReports, WhoHasItsFullBudgetDoesNotPause) {
  for (const char* scheduler : {"asha_promotion", "pasha", "sync_hyperband", "cut"}) {
    const Params options = std::string(scheduler) == "cut" ? Params{} : halving(1, 3);
    Game game(scheduler, options, {.trials = 9, .max_steps = 10, .concurrent = 9});
    game.ask(9);
    EXPECT_EQ(game.report(10, {{0, 0.0}}), Log{}) << scheduler;
    EXPECT_EQ(game.tuner().find({0})->state, TrialState::completed) << scheduler;
  }
}

TEST(SparseReports, MedianComparesValuesOfOneLook) {
  Game game("median", {}, {.trials = 6, .max_steps = 100, .default_guard = false});
  game.ask(6);
  for (std::int64_t step = 1; step <= 9; ++step) EXPECT_EQ(game.report(step, ranked(5)).size(), 0u) << step;
  // Judged against the five at looks 1 to 9; nobody else has come to 10.
  EXPECT_EQ(game.report(10, {{5, 9.0}}), Log{"stop 5"});
}

TEST(SparseReports, MedianLooksOnceInAnInterval) {
  Game game("median", {{"interval", std::int64_t{10}}, {"warmup_steps", std::int64_t{5}}},
            {.trials = 6, .max_steps = 100, .default_guard = false});
  game.ask(6);
  const std::map<std::int64_t, double> same{{0, 1.0}, {1, 1.0}, {2, 1.0}, {3, 1.0}, {4, 1.0}, {5, 1.0}};
  std::map<std::int64_t, double> worse = same;
  worse[5] = 2;
  EXPECT_EQ(game.report(4, worse), Log{}) << "warm-up";
  EXPECT_EQ(game.report(8, same), Log{}) << "the look at 6";
  EXPECT_EQ(game.report(12, worse), Log{}) << "looked at in this interval already";
  game.report(14, {{0, 0.5}, {1, 0.5}, {2, 0.5}, {3, 0.5}, {4, 0.5}});
  EXPECT_EQ(game.report(17, {{0, 0.5}, {1, 0.5}, {2, 0.5}, {3, 0.5}, {4, 0.5}, {5, 2.0}}), Log{"stop 5"})
      << "the look at 16; its best is 1";
}

TEST(SparseReports, APopulationIsReadyAtTheFirstReportOfAnInterval) {
  for (const char* scheduler : {"pbt", "pb2"}) {
    Game game(scheduler, {{"interval", std::int64_t{10}}}, {.trials = 4, .max_steps = 100});
    game.ask(4);
    EXPECT_EQ(game.report(7, ranked(4)), Log{}) << scheduler;
    EXPECT_EQ(game.report(14, ranked(4)), Log{"copy 3"}) << scheduler;
    EXPECT_EQ(game.report(19, ranked(4)), Log{}) << scheduler;
    EXPECT_EQ(game.report(45, ranked(4)), Log{"copy 3"}) << scheduler << ": once, however many it passed";
    EXPECT_EQ(game.report(100, ranked(4)), Log{}) << scheduler;
  }
}

TEST(SparseReports, ReplayFollowsTheLastOfTheStepsPassed) {
  const SearchSpace space{{{.name = "x", .low = 0.1, .high = 10}}};
  const auto replay =
      make_scheduler("replay", {{{"schedule", std::string("10 x=1,20 x=2,30 x=3")}}, space, {.max_steps = 100}});
  TrialRecord trial{.id = {0}, .params = {{"x", 5.0}}};
  const TrialRecord* reported[] = {&trial};
  std::string said;
  for (const std::int64_t step : {7, 12, 14, 35}) {
    trial.step_before = trial.step, trial.step = step;
    std::vector<Action> actions;
    replay->on_reports(reported, {}, actions);
    for (const Action& action : actions) said += std::to_string(step) + ":" + to_text(action.params[0].second) + " ";
  }
  EXPECT_EQ(said, "12:1 35:3 ");
}

TEST(SparseReports, OneReportForTwoLevelsSaysNothingOfTheirOrder) {
  LevelGuard guard({1, 3, 9}, kSurvivors);
  for (std::int64_t i = 0; i < 5; ++i) guard.compare({.id = {i}, .values = {{4, static_cast<double>(i)}}, .step = 4});
  EXPECT_EQ(guard.save(), nlohmann::json::array());
  for (std::int64_t i = 0; i < 5; ++i)
    guard.compare({.id = {i}, .values = {{4, static_cast<double>(i)}, {10, static_cast<double>(-i)}}, .step = 10});
  EXPECT_FALSE(guard.is_trusted(0));
  EXPECT_FALSE(guard.is_trusted(1));
}

TEST(Looks, AreWhatEachSchedulerComparesAt) {
  const auto shown = [](const std::string& scheduler, const Params& options = {}) -> std::string {
    Game game(scheduler, options, {.trials = 1, .max_steps = 30});
    const Looks looks = game.tuner().looks();
    return looks.interval ? "every " + std::to_string(*looks.interval) : nlohmann::json(looks.rungs).dump();
  };
  for (const char* name : {"asha", "asha_promotion", "pasha", "hyperband", "sync_hyperband"})
    EXPECT_EQ(shown(name, halving(2, 3)), "[2,6,18]") << name;
  for (const char* name : {"median", "percentile", "patient", "wilcoxon"}) EXPECT_EQ(shown(name), "every 1") << name;
  EXPECT_EQ(shown("threshold", {{"upper", 1.0}}), "every 1");
  EXPECT_EQ(shown("median", {{"interval", std::int64_t{4}}}), "every 4");
  EXPECT_EQ(shown("pbt"), "every 10");
  EXPECT_EQ(shown("pb2", {{"interval", std::int64_t{3}}}), "every 3");
  EXPECT_EQ(shown("early_exit", {{"warmup", 0.1}}), "[2,3,4,6,8,10,12,14,16,18,20,22,24,26,28]");
  EXPECT_EQ(shown("replay", {{"schedule", std::string("10 x=1,20 x=2")}}), "[10,20]");
  EXPECT_EQ(shown("cut"), "[6]");
  EXPECT_EQ(shown("none"), "[]");
}

}  // namespace
}  // namespace finetune::testing
