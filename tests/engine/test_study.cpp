// The study's loop with a stand-in lane: losses are made up, so every decision can be worked out by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "support/fake_lane.h"

namespace finetune::testing {
namespace {

TEST(Study, RunsEveryTrialToTheEndAndFindsTheBest) {
  FakeLane lane(4);
  const auto tuner = tuner_over({0.1, 0.5, 0.2}, "none", 5);
  const StudyResult result = Study(options_for(5), *tuner, {&lane}, {}).run();
  ASSERT_EQ(result.trials.size(), 3u);
  for (const auto& trial : result.trials) EXPECT_EQ(trial.state, TrialState::completed);
  EXPECT_EQ(result.best, 1u);
  EXPECT_EQ(result.steps, 15);
  EXPECT_EQ(result.tokens, 150);
  EXPECT_EQ(*result.base_metric, 1.0);
  EXPECT_EQ(result.default_run->state, TrialState::completed);
  EXPECT_EQ(lane.free_slots(), 4) << "every slot was given back";
}

TEST(Study, ConcurrencyBoundsWhoRunsSideBySide) {
  FakeLane lane(10);
  auto options = options_for(4);
  options.concurrent = 2;
  const auto tuner = tuner_over({0.1, 0.5, 0.2, 0.3, 0.4}, "none", 4);
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  EXPECT_EQ(result.trials.size(), 5u);
  EXPECT_EQ(lane.widest, 3u) << "two trials and the default run";
}

TEST(Study, AshaStopsTheWorseOfACohort) {
  FakeLane lane(8);
  // Rungs 1 and 3 below 9; four trials at rung 1 keep floor(4 / 3) = 1.
  const auto tuner = tuner_over({0.1, 0.5, 0.2, 0.3}, "asha", 9);
  const StudyResult result = Study(options_for(9), *tuner, {&lane}, {}).run();
  EXPECT_EQ(result.trials[1].state, TrialState::completed);
  for (const std::size_t loser : {0u, 2u, 3u}) {
    EXPECT_EQ(result.trials[loser].state, TrialState::stopped);
    EXPECT_EQ(result.trials[loser].step, 1);
  }
  EXPECT_EQ(result.best, 1u);
}

TEST(Study, ATrialThatBreaksFailsAndTheOthersGoOn) {
  FakeLane lane(8);
  const auto tuner = tuner_over({0.1, 1000.0, 0.2}, "asha", 9);
  const StudyResult result = Study(options_for(9), *tuner, {&lane}, {}).run();
  EXPECT_EQ(result.trials[1].state, TrialState::failed);
  EXPECT_EQ(result.trials[1].reason, "loss is nan at step 1");
  EXPECT_EQ(result.best, 2u);
}

// What the others of a study do is what they would do without the trials that fail.
std::vector<std::pair<double, std::int64_t>> metrics_of(const StudyResult& result) {
  std::vector<std::pair<double, std::int64_t>> metrics;
  for (const Trial& trial : result.trials) {
    if (trial.state != TrialState::failed) metrics.emplace_back(trial.best_metric.value(), trial.step);
  }
  return metrics;
}

TEST(Study, ATrialThatDoesNotFitFailsAloneWhereverItIsFoundOut) {
  const auto play = [](const std::vector<Value>& rates, std::size_t lag, const std::function<void(FakeLane&)>& breaks) {
    FakeLane lane(8);
    breaks(lane);
    StudyOptions options = options_for(6);
    options.eval_every = 2;
    options.lag = lag;
    const auto tuner = tuner_over(rates, "none", 6);
    StudyResult result = Study(options, *tuner, {&lane}, {}).run();
    EXPECT_EQ(lane.free_slots(), 8) << "every slot was given back";
    for (std::size_t i = 0; i < result.trials.size(); ++i)
      EXPECT_EQ(tuner->trials()[i].state, result.trials[i].state) << "the sampler knows of it, trial " << i;
    return result;
  };
  struct Case {
    const char *what, *reason;
    std::int64_t step;
    std::function<void(FakeLane&)> breaks;
  };
  const TrialId id{1};
  const std::vector<Case> cases = {
      {"at admission", "lane: cannot be built", 0, [=](FakeLane& lane) { lane.refused = {id}; }},
      {"at its first step", "no room", 1, [=](FakeLane& lane) { lane.misfit_at[id] = 1; }},
      {"at a later step", "no room", 3, [=](FakeLane& lane) { lane.misfit_at[id] = 3; }},
      {"at an evaluation", "no room to evaluate", 2, [=](FakeLane& lane) { lane.cannot_evaluate = {id}; }},
  };
  for (const std::size_t lag : {std::size_t{0}, std::size_t{1}}) {
    const StudyResult without = play({0.1, 0.2, 0.3}, lag, [](FakeLane&) {});
    for (const Case& one : cases) {
      SCOPED_TRACE(std::string(one.what) + ", lag " + std::to_string(lag));
      const StudyResult result = play({0.1, 0.5, 0.2, 0.3}, lag, one.breaks);
      const Trial& failed = result.trials.at(1);
      EXPECT_EQ(failed.state, TrialState::failed);
      EXPECT_EQ(failed.reason, one.reason);
      EXPECT_EQ(failed.step, one.step);
      EXPECT_EQ(metrics_of(result), metrics_of(without));
      EXPECT_EQ(result.best, 3u);
      EXPECT_EQ(result.default_run->best_metric, without.default_run->best_metric);
    }
  }
}

TEST(Study, TheDefaultConfigurationFailsAlone) {
  for (const int where : {0, 1, 2}) {
    SCOPED_TRACE(where);
    FakeLane lane(8);
    if (where == 0) lane.refused = {kDefaultRun};
    if (where == 1) lane.cannot_evaluate = {kDefaultRun};
    if (where == 2) lane.misfit_at[kDefaultRun] = 2;
    const auto tuner = tuner_over({0.1, 0.5}, "none", 4);
    const StudyResult result = Study(options_for(4), *tuner, {&lane}, {}).run();
    EXPECT_EQ(result.default_run->state, TrialState::failed);
    EXPECT_FALSE(result.default_run->reason.empty());
    EXPECT_EQ(result.base_metric.has_value(), where == 2) << "nothing else says what the base has";
    EXPECT_EQ(result.best, 1u);
    EXPECT_EQ(lane.free_slots(), 8);
  }
}

// As many as there are trials, though none of those asked for together gets as far as a step.
TEST(Study, TrialsThatFailAtOnceMakeRoomForOthers) {
  FakeLane lane(2);
  lane.refused = {{0}, {1}, {2}, {3}, {4}};
  StudyOptions options = options_for(4);
  options.with_default = false;
  const auto tuner = tuner_over({0.1, 0.2, 0.3, 0.4, 0.5, 0.6}, "asha", 4);
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  ASSERT_EQ(result.trials.size(), 6u);
  EXPECT_EQ(result.best, 5u);
  lane.refused.insert(TrialId{5});
  const auto again = tuner_over({0.1, 0.2, 0.3, 0.4, 0.5, 0.6}, "asha", 4);
  const StudyResult none = Study(options, *again, {&lane}, {}).run();
  EXPECT_EQ(none.trials.size(), 6u);
  EXPECT_FALSE(none.best.has_value());
}

TEST(Study, AConfigurationThatCannotBeMadeIsItsTrialsFailure) {
  FakeLane lane(4);
  StudyOptions options = options_for(3);
  options.configure = [make = options.configure](const Params& params) {
    if (!params.empty() && as_number(params.front().second) == 0.5) throw bad_input("train.learning_rate", "is odd");
    return make(params);
  };
  const auto tuner = tuner_over({0.1, 0.5, 0.2}, "none", 3);
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  EXPECT_EQ(result.trials[1].state, TrialState::failed);
  EXPECT_EQ(result.trials[1].reason, "train.learning_rate: is odd");
  EXPECT_EQ(result.best, 2u);
}

TEST(Study, WhatIsWrongWithTheLaneEndsTheStudy) {
  FakeLane lane(4);
  lane.breaks_at_admission = TrialId{1};
  const auto tuner = tuner_over({0.1, 0.5, 0.2}, "none", 3);
  EXPECT_THROW(Study(options_for(3), *tuner, {&lane}, {}).run(), Error);
}

TEST(Study, PopulationCopiesAndTheLineageReplaysIt) {
  FakeLane lane(8);
  const auto tuner = tuner_over({0.01, 0.02, 0.3, 0.4}, "pbt", 8, {{"interval", std::int64_t{4}}, {"quantile", 0.25}});
  const StudyResult result = Study(options_for(8), *tuner, {&lane}, {}).run();
  const Trial& loser = result.trials[0];
  ASSERT_EQ(loser.lineage.size(), 1u);
  EXPECT_EQ(loser.lineage[0].what, Action::Do::copy);
  EXPECT_EQ(loser.lineage[0].from, TrialId{3});
  EXPECT_EQ(loser.lineage[0].step, 4);
  EXPECT_EQ(loser.origin, result.trials[3].origin) << "its weights began as the donor's";
  ASSERT_EQ(loser.schedule.size(), 1u);
  EXPECT_EQ(loser.schedule[0].params, loser.params);
  for (const auto& trial : result.trials) EXPECT_EQ(trial.state, TrialState::completed) << "a population stops nobody";
}

// Its best evaluation came before it copied another: what is kept for best.yaml led to those weights, not to the later.
TEST(Study, TheBestEvaluationKeepsItsOwnLineage) {
  FakeLane lane(8);
  auto options = options_for(8);
  options.eval_every = 1;
  options.on_step = [](std::span<const Report> reports, std::vector<Action>& actions) {
    if (reports.front().step == 2)
      actions.push_back({.trial = {0}, .what = Action::Do::change, .params = {{"learning_rate", 1.0}}});
    if (reports.front().step == 4)  // trial 0 has arrived; trial 1 never does
      actions.push_back({.trial = {0}, .what = Action::Do::copy, .params = {{"learning_rate", 0.01}}, .from = {1}});
  };
  const auto tuner = tuner_over({0.5, 0.01}, "none", 8);
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  const Trial& trial = result.trials[0];
  EXPECT_EQ(trial.best_step, 3);
  EXPECT_EQ(trial.origin, (Params{{"learning_rate", 0.01}})) << "the weights at the end began as trial 1's";
  EXPECT_EQ(trial.best_origin, (Params{{"learning_rate", 0.5}}));
  ASSERT_EQ(trial.best_schedule.size(), 1u);
  EXPECT_EQ(trial.best_schedule[0].step, 2);
}

TEST(Study, AHostsCallbackStopsAndChangesTrials) {
  FakeLane lane(8);
  auto options = options_for(10);
  options.on_step = [](std::span<const Report> reports, std::vector<Action>& actions) {
    for (const auto& report : reports) {
      if (report.trial.value == 0 && report.step == 3)
        actions.push_back({.trial = report.trial, .what = Action::Do::stop, .reason = "host"});
      if (report.trial.value == 1 && report.step == 5)
        actions.push_back({.trial = report.trial, .what = Action::Do::change, .params = {{"learning_rate", 0.9}}});
    }
  };
  const auto tuner = tuner_over({0.1, 0.2}, "none", 10);
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  EXPECT_EQ(result.trials[0].state, TrialState::stopped);
  EXPECT_EQ(result.trials[0].step, 3);
  EXPECT_EQ(result.trials[0].reason, "host");
  EXPECT_EQ(result.trials[1].config.learning_rate, 0.9);
  ASSERT_EQ(result.trials[1].schedule.size(), 1u);
  EXPECT_EQ(result.trials[1].schedule[0].step, 5);
}

// Trial 2 takes the slot that trial 0 leaves; trial 0 gets the next one that is free.
TEST(Study, ATrialResumedWhileEverySlotIsTakenWaitsForOne) {
  FakeLane lane(2);
  const auto tuner = tuner_over({0.1, 0.5, 0.2}, "none", 5);
  StudyOptions options = options_for(5);
  std::int64_t round = 0;
  options.with_default = false;
  options.on_step = [&](std::span<const Report>, std::vector<Action>& actions) {
    ++round;
    if (round == 1) actions.push_back({.trial = {0}, .what = Action::Do::pause});
    if (round == 2) actions.push_back({.trial = {0}, .what = Action::Do::resume});
  };
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  ASSERT_EQ(result.trials.size(), 3u);
  for (const auto& trial : result.trials) {
    EXPECT_EQ(trial.state, TrialState::completed) << trial.id.value;
    EXPECT_EQ(trial.step, 5) << trial.id.value;
  }
  EXPECT_EQ(lane.widest, 2u);
}

// Otherwise the best trial could lose to a worse one that nobody stopped.
TEST(Study, ATrialStoppedAtItsLastStepIsComplete) {
  FakeLane lane(2);
  const auto tuner = tuner_over({0.1, 0.5}, "none", 5);
  StudyOptions options = options_for(5);
  options.on_step = [](std::span<const Report> reports, std::vector<Action>& actions) {
    for (const Report& report : reports) {
      if (report.step == 5 && report.trial.value == 1) actions.push_back({.trial = {1}, .what = Action::Do::stop});
    }
  };
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  EXPECT_EQ(result.trials[1].state, TrialState::completed);
  EXPECT_EQ(result.best, 1u);
}

TEST(Study, TwoLanesGiveWhatOneLaneGives) {
  const std::vector<Value> rates{0.1, 0.5, 0.2, 0.3, 0.05, 0.4};
  FakeLane one(8), left(4), right(4);
  const auto tuner_a = tuner_over(rates, "asha", 9), tuner_b = tuner_over(rates, "asha", 9);
  const StudyResult a = Study(options_for(9), *tuner_a, {&one}, {}).run(),
                    b = Study(options_for(9), *tuner_b, {&left, &right}, {}).run();
  ASSERT_EQ(a.trials.size(), b.trials.size());
  for (std::size_t i = 0; i < a.trials.size(); ++i) {
    EXPECT_EQ(a.trials[i].state, b.trials[i].state);
    EXPECT_EQ(a.trials[i].step, b.trials[i].step);
    EXPECT_EQ(a.trials[i].best_metric, b.trials[i].best_metric);
  }
}

TEST(Study, ALaneThatItsTrialsLeftGetsOthers) {
  // The default run and trials 1, 3, 5 lie on the left lane, 0, 2, 4 on the right one, where all break at once.
  FakeLane left(8), right(8);
  const auto tuner = tuner_over({1000.0, 0.1, 2000.0, 0.2, 3000.0, 0.3}, "none", 4);
  const StudyResult result = Study(options_for(4), *tuner, {&left, &right}, {}).run();
  EXPECT_EQ(left.widths, (std::vector<std::size_t>{4, 2, 2, 2}));
  EXPECT_EQ(right.widths, (std::vector<std::size_t>{3, 2, 2, 2}));
  for (const std::size_t i : {1u, 3u, 5u}) {
    EXPECT_EQ(result.trials[i].state, TrialState::completed);
    EXPECT_EQ(result.trials[i].step, 4);
  }
  EXPECT_EQ(left.free_slots() + right.free_slots(), 16);
}

TEST(Study, AnInterruptDropsTheRoundUnderWay) {
  FakeLane lane(8);
  lane.interrupt_at = 3;
  const auto tuner = tuner_over({0.1, 0.2}, "none", 9);
  StudyOptions options = options_for(9);
  options.eval_every = 1;
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  EXPECT_EQ(result.ended, EndReason::interrupted);
  ASSERT_EQ(result.trials.size(), 2u);
  for (const Trial& trial : result.trials) {
    EXPECT_EQ(trial.step, 2);
    EXPECT_EQ(trial.best_step, 2);
    EXPECT_EQ(trial.state, TrialState::stopped);
    EXPECT_EQ(trial.reason, "interrupted");
  }
  EXPECT_EQ(result.best, 1u) << "what was evaluated before counts";
  EXPECT_EQ(lane.free_slots(), 8);
}

TEST(Study, ABudgetOfTokensEndsTheStudy) {
  FakeLane lane(8);
  auto options = options_for(100);
  options.budget_tokens = 55;
  const auto tuner = tuner_over({0.1, 0.2}, "none", 100);
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  EXPECT_EQ(result.ended, EndReason::tokens);
  EXPECT_EQ(result.tokens, 60) << "the round in which 55 is passed is the last";
  for (const auto& trial : result.trials) EXPECT_EQ(trial.state, TrialState::stopped);
}

TEST(Study, SaysWhichBudgetEndedIt) {
  const auto ended_by = [](const TunerOptions& limits) {
    FakeLane lane(1);  // one after another: the later ones never start
    const SearchSpace space{{{.name = "learning_rate", .choices = {0.5, 0.1, 0.2, 0.3}}}};
    Tuner tuner(limits, make_sampler("grid", {{}, space, 0}), make_scheduler("none", {{}, space, limits}));
    auto options = options_for(4);
    options.with_default = false;
    const StudyResult result = Study(options, tuner, {&lane}, {}).run();
    return std::string(to_text(result.ended)) + " after " + std::to_string(result.trials.size());
  };
  EXPECT_EQ(ended_by({.trials = 4, .max_steps = 4}), "exhausted after 4");
  EXPECT_EQ(ended_by({.trials = 4, .max_steps = 4, .target = 0.1}), "target after 1");
  EXPECT_EQ(ended_by({.trials = 4, .max_steps = 4, .patience = 2}), "patience after 3");
  EXPECT_EQ(ended_by({.trials = 4, .max_steps = 4, .budget_steps = 8}), "steps after 2");
}

TEST(Study, DecisionsAreSeenFromBothSides) {
  struct Count : StudyObserver {
    void before_decision() override { ++before; }
    void after_decision() override { EXPECT_EQ(++after, before); }
    int before = 0, after = 0;
  } count;
  FakeLane lane(4);
  const auto tuner = tuner_over({0.1, 0.5}, "none", 3);
  Study(options_for(3), *tuner, {&lane}, {&count}).run();
  EXPECT_EQ(count.after, 2 * 3 + 1);  // ask and report each round, and the ask that finds no more trials
}

TEST(Study, AnInterruptEndsItAfterTheRound) {
  FakeLane lane(8);
  auto options = options_for(100);
  int rounds = 0;
  options.stop = [&] { return ++rounds == 4 ? std::optional(EndReason::interrupted) : std::nullopt; };
  const auto tuner = tuner_over({0.1, 0.2}, "none", 100);
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  EXPECT_EQ(result.ended, EndReason::interrupted);
  EXPECT_EQ(result.rounds, 4);
  EXPECT_EQ(result.trials[0].reason, "interrupted");
}

// Of each trial: what was done to it, and how it ended.
TEST(Study, EveryActionIsSeenAStopBeforeItsEnd) {
  struct Watch : StudyObserver {
    void on_action(const Trial& trial, const Action& action) override {
      lines[trial.id.value] += std::string(to_text(action.what)) + " ";
    }
    void on_end(const Trial& trial) override { lines[trial.id.value] += to_text(trial.state); }
    std::map<std::int64_t, std::string> lines;
  } watch;
  FakeLane lane(4);
  const auto tuner = tuner_over({0.1, 0.2}, "none", 3);
  StudyOptions options = options_for(3);
  options.with_default = false;
  options.on_step = [](std::span<const Report> reports, std::vector<Action>& actions) {
    if (reports.front().step != 1) return;
    actions.push_back({.trial = {0}, .what = Action::Do::stop});
    actions.push_back({.trial = {1}, .what = Action::Do::change, .params = {{"learning_rate", 0.5}}});
  };
  Study(options, *tuner, {&lane}, {&watch}).run();
  EXPECT_EQ(watch.lines.at(0), "stop stopped");
  EXPECT_EQ(watch.lines.at(1), "change completed");
}

TEST(Study, OneInWhichEveryTrialFailedHasNoBest) {
  FakeLane lane(4);
  StudyOptions options = options_for(4);
  options.eval_every = 1;
  // The second one has a metric before it breaks.
  options.on_step = [](std::span<const Report> reports, std::vector<Action>& actions) {
    for (const Report& report : reports) {
      if (report.trial.value == 1 && report.step == 2)
        actions.push_back({.trial = {1}, .what = Action::Do::change, .params = {{"learning_rate", 1000.0}}});
    }
  };
  const auto tuner = tuner_over({1000.0, 0.5}, "none", 4);
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  for (const auto& trial : result.trials) EXPECT_EQ(trial.state, TrialState::failed);
  EXPECT_TRUE(result.trials[1].best_metric.has_value());
  EXPECT_FALSE(result.best.has_value());
}

TEST(Study, TheBestEvaluationOfATrialCounts) {
  FakeLane lane(4);
  auto options = options_for(6);
  options.eval_every = 1;
  // The state overshoots with a rate of 1.5: losses 1, .5, .25 ... still the last is best; a rate of 2.1 diverges
  // slowly.
  const auto tuner = tuner_over({2.1}, "none", 6);
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  EXPECT_EQ(result.trials[0].best_step, 1);
  EXPECT_EQ(result.trials[0].metric_step, 6);
  EXPECT_NE(result.trials[0].best_image, nullptr);
}

// Everything that an observer is told, as text.
class Log : public StudyObserver {
 public:
  void on_steps(std::span<const StepResult> steps, std::span<const Trial* const> trials) override {
    for (std::size_t i = 0; i < steps.size(); ++i) {
      EXPECT_EQ(steps[i].trial, trials[i]->id);
      EXPECT_EQ(steps[i].step, trials[i]->step);
      lines[steps[i].trial.value].push_back("step " + std::to_string(steps[i].step));
    }
  }
  void on_evaluation(const Trial& trial, const EvalResult&, const MetricValues& values) override {
    lines[trial.id.value].push_back("metric " + std::to_string(values.metric.value_or(-1)) + " at " +
                                    std::to_string(trial.step));
  }
  void on_end(const Trial& trial) override { lines[trial.id.value].push_back(to_text(trial.state) + trial.reason); }
  std::map<std::int64_t, std::vector<std::string>> lines;
};

TEST(Study, EveryMilestoneIsEvaluatedAlsoNextToAnother) {
  for (const std::size_t lag : {0u, 1u}) {
    FakeLane lane(2);
    // Nobody is stopped, and every step is a milestone.
    const auto tuner = tuner_over({0.1, 0.2}, "threshold", 4, {{"upper", 100.0}});
    StudyOptions options = options_for(4);
    options.lag = lag;
    options.with_default = false;
    Log log;
    Study(options, *tuner, {&lane}, {&log}).run();
    for (const std::int64_t trial : {0, 1}) {
      ASSERT_EQ(log.lines.at(trial).size(), 9u);
      for (std::size_t step = 0; step < 4; ++step) {
        EXPECT_EQ(log.lines.at(trial)[2 * step], "step " + std::to_string(step + 1));
        EXPECT_EQ(log.lines.at(trial)[2 * step + 1].substr(0, 6), "metric");
      }
    }
  }
}

// A trial steps once in each of its rounds; a pause is a gap.
TEST(Study, RoundsOfATrialAreItsSteps) {
  for (const std::size_t lag : {0u, 1u}) {
    for (const std::string scheduler : {"none", "asha", "asha_promotion", "sync_hyperband"}) {
      SCOPED_TRACE(scheduler + " " + std::to_string(lag));
      FakeLane lane(4);
      StudyOptions options = options_for(9);
      options.lag = lag;
      const auto tuner = tuner_over({0.1, 0.5, 0.2, 0.3, 0.4, 0.6, 0.7}, scheduler, 9);
      const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
      std::size_t gaps = 0;
      for (const Trial& trial : result.trials) {
        std::int64_t steps = 0, before = 0;
        for (const RoundSpan& span : trial.rounds) {
          EXPECT_GT(span.first, before == 0 ? 0 : before + 1) << "else it was no break";
          EXPECT_GE(span.last, span.first);
          steps += span.last - span.first + 1;
          before = span.last;
        }
        EXPECT_EQ(steps, trial.step);
        EXPECT_LE(before, result.rounds);
        gaps += trial.rounds.size() - 1;
      }
      // With lag 1 who was evaluated also waits a round for the answer.
      if (lag == 0) {
        EXPECT_EQ(gaps > 0, scheduler == "sync_hyperband");
      }
      EXPECT_EQ(result.trials[0].rounds.front().first, 1) << "1-based";
    }
  }
}

// A trial that was evaluated waits for the tuner, so what happens at milestones is the same with a round under way.
TEST(Study, WithLagOneDecisionsAtMilestonesAreTheSame) {
  std::vector<Value> rates(20, 0.0);
  for (int i = 0; i < 20; ++i) std::get<double>(rates[static_cast<std::size_t>(i)]) = 0.02 + 0.04 * ((i * 7) % 20);
  for (const std::string scheduler : {"none", "asha", "asha_promotion", "sync_hyperband", "hyperband", "pbt"}) {
    SCOPED_TRACE(scheduler);
    const auto run = [&](std::size_t lag, std::int64_t slots, Log& log) {
      FakeLane first(slots), second(slots - 1);
      const auto tuner = tuner_over(rates, scheduler, 9);
      StudyOptions options = options_for(9);
      options.lag = lag;
      StudyResult result = Study(options, *tuner, {&first, &second}, {&log}).run();
      return result;
    };
    Log now, late, few;
    const StudyResult a = run(0, 11, now), b = run(1, 11, late);  // room for all
    EXPECT_EQ(now.lines, late.lines);
    EXPECT_EQ(a.best, b.best);
    EXPECT_EQ(a.trials[*a.best].best_metric, b.trials[*b.best].best_metric);

    const StudyResult c = run(1, 4, few);  // trials are started while others are under way
    ASSERT_EQ(c.trials.size(), 20u);
    for (const Trial& trial : c.trials) {
      EXPECT_TRUE(trial.state == TrialState::completed || trial.state == TrialState::stopped);
      EXPECT_EQ(trial.submitted, trial.step);
      EXPECT_EQ(trial.tokens, 10 * trial.step);
      EXPECT_EQ(few.lines.at(trial.id.value).back(), to_text(trial.state) + trial.reason) << "nothing after the end";
    }
  }
}

TEST(Study, WithLagOneTheStepUnderWayIsLoggedBeforeAStop) {
  for (const std::size_t lag : {0u, 1u}) {
    FakeLane lane(2);
    const auto tuner = tuner_over({0.1, 0.2}, "none", 6);
    StudyOptions options = options_for(6);
    options.lag = lag;
    options.on_step = [&](std::span<const Report> reports, std::vector<Action>& actions) {
      for (const Report& report : reports) {
        if (report.trial == TrialId{0} && report.step == 2) {
          Action stop;
          stop.trial = report.trial;
          stop.what = Action::Do::stop;
          stop.reason = "rule";
          actions.push_back(stop);
        }
      }
    };
    Log log;
    const StudyResult result = Study(options, *tuner, {&lane}, {&log}).run();
    std::vector<std::string> expected{"step 1", "step 2", "stoppedrule"};
    if (lag == 1) expected.insert(expected.begin() + 2, "step 3");
    EXPECT_EQ(log.lines.at(0), expected);
    EXPECT_EQ(result.trials[1].state, TrialState::completed);
    EXPECT_EQ(result.trials[1].step, 6);
  }
}

TEST(Study, WithLagOneTheNextRoundRunsWhileTheTunerIsAsked) {
  for (const std::size_t lag : {0u, 1u}) {
    class Counting : public FakeLane {
     public:
      using FakeLane::FakeLane;
      void submit(std::span<const TrialId> ids) override {
        ++submitted;
        FakeLane::submit(ids);
      }
      std::int64_t submitted = 0;
    } lane(2);
    const auto tuner = tuner_over({0.1, 200.0}, "none", 6);  // the second one breaks at its first step
    StudyOptions options = options_for(6);
    options.lag = lag;
    options.with_default = false;
    std::vector<std::int64_t> ahead;
    options.on_step = [&](std::span<const Report> reports, std::vector<Action>&) {
      ahead.push_back(lane.submitted - reports.front().step);
    };
    const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
    const auto late = static_cast<std::int64_t>(lag);
    EXPECT_EQ(ahead, (std::vector<std::int64_t>{late, late, late, late, late, 0}));
    EXPECT_EQ(result.trials[1].state, TrialState::failed);
    EXPECT_EQ(result.trials[0].step, 6);
  }
}

}  // namespace
}  // namespace finetune::testing
