// Decision tables: reports and the actions that the rules of each scheduler give, worked out by hand.
#include <gtest/gtest.h>

#include <map>

#include "core/error.h"
#include "tuners/registry.h"
#include "tuners/schedulers/rungs.h"

namespace finetune::testing {
namespace {

TEST(Rungs, AreExactForAwkwardSizes) {
  using Steps = std::vector<std::int64_t>;
  EXPECT_EQ(rung_steps(1, 3, 27), (Steps{1, 3, 9}));
  EXPECT_EQ(rung_steps(1, 3, 28), (Steps{1, 3, 9, 27}));
  EXPECT_EQ(rung_steps(10, 3, 100), (Steps{10, 30, 90}));
  EXPECT_EQ(rung_steps(7, 2, 100), (Steps{7, 14, 28, 56}));
  EXPECT_EQ(rung_steps(5, 4, 5), (Steps{}));
  EXPECT_EQ(rung_steps(1, 1000, std::int64_t{1} << 62).size(), 7u);
  EXPECT_EQ(survivors(1, 3), 1);
  EXPECT_EQ(survivors(5, 3), 1);
  EXPECT_EQ(survivors(6, 3), 2);
  EXPECT_EQ(survivors(8, 2), 4);
}

// Reports of one step: trial id -> value. Gives the ids that were stopped.
class Table {
 public:
  Table(const std::string& scheduler, Params options, std::int64_t trials, std::int64_t max_steps = 100,
        Direction direction = Direction::minimize)
      : tuner_(tuner_options(trials, max_steps, direction), make_sampler("random", {{}, space(), 0}),
               make_scheduler(scheduler, {std::move(options), space(), tuner_options(trials, max_steps, direction)})) {
    std::vector<Action> actions;
    tuner_.ask(trials, actions);
  }
  std::vector<std::int64_t> report(std::int64_t step, const std::map<std::int64_t, double>& values) {
    std::vector<Report> reports;
    for (const auto& [id, value] : values) reports.push_back({.trial = {id}, .step = step, .metric = value});
    actions.clear();
    tuner_.report(reports, actions);
    std::vector<std::int64_t> stopped;
    for (const auto& action : actions) {
      if (action.what == Action::Do::stop) stopped.push_back(action.trial.value);
    }
    std::sort(stopped.begin(), stopped.end());
    return stopped;
  }
  Tuner& tuner() { return tuner_; }
  std::vector<Action> actions;

 private:
  static SearchSpace space() { return {{{.name = "x", .low = 0.1, .high = 10, .log = true}}}; }
  static TunerOptions tuner_options(std::int64_t trials, std::int64_t max_steps, Direction direction) {
    return {.trials = trials, .max_steps = max_steps, .direction = direction};
  }
  Tuner tuner_;
};

using Ids = std::vector<std::int64_t>;

TEST(Asha, ACohortIsJudgedTogetherAndTiesGoToTheLowerId) {
  Table t("asha", {{"min_steps", std::int64_t{2}}, {"reduction_factor", std::int64_t{2}}}, 5);
  EXPECT_EQ(t.report(1, {{0, 9}, {1, 1}, {2, 1}, {3, 5}, {4, 2}}), Ids{});
  // Rung 2, five trials, two go on: values 1 1 2 5 9.
  EXPECT_EQ(t.report(2, {{0, 9}, {1, 1}, {2, 1}, {3, 5}, {4, 2}}), (Ids{0, 3, 4}));
  EXPECT_EQ(t.report(3, {{1, 1}, {2, 1}}), Ids{});
  EXPECT_EQ(t.report(4, {{1, 3}, {2, 3}}), Ids{2}) << "a tie: the lower id goes on";
}

TEST(Asha, LateTrialsAreComparedWithAllThatReachedTheRung) {
  Table t("asha", {{"min_steps", std::int64_t{1}}, {"reduction_factor", std::int64_t{3}}}, 4);
  EXPECT_EQ(t.report(1, {{0, 5}}), Ids{}) << "alone, it goes on";
  EXPECT_EQ(t.report(1, {{1, 4}}), Ids{}) << "two: one may go on, and it is the better one";
  EXPECT_EQ(t.report(1, {{2, 6}}), Ids{2});
  EXPECT_EQ(t.report(1, {{3, 4.5}}), Ids{3}) << "four: still one";
}

TEST(Median, StopsWhoseBestIsStrictlyWorseThanThePeersMedian) {
  Table t("median", {{"min_peers", std::int64_t{2}}}, 4);
  EXPECT_EQ(t.report(1, {{0, 1}}), Ids{}) << "no peers";
  EXPECT_EQ(t.report(1, {{1, 3}}), Ids{}) << "one peer";
  EXPECT_EQ(t.report(1, {{2, 2}}), Ids{}) << "median of 1 and 3 is 2: not strictly worse";
  EXPECT_EQ(t.report(1, {{3, 2.5}}), Ids{3}) << "median of 1 2 3 is 2";
}

TEST(Median, TheBestSoFarCountsNotTheLast) {
  Table t("median", {{"min_peers", std::int64_t{2}}}, 3);
  EXPECT_EQ(t.report(1, {{0, 1}, {1, 1}, {2, 1}}), Ids{});
  EXPECT_EQ(t.report(2, {{0, 0.5}, {1, 0.6}, {2, 5}}), Ids{2}) << "best 1 against median 0.55";
}

TEST(Median, WarmupAndIntervalSayWhenToJudge) {
  Table t("median", {{"min_peers", std::int64_t{1}}, {"warmup_steps", std::int64_t{2}}, {"interval", std::int64_t{3}}},
          2);
  EXPECT_EQ(t.report(1, {{0, 1}, {1, 9}}), Ids{});
  EXPECT_EQ(t.report(2, {{0, 1}, {1, 9}}), Ids{}) << "no stop at steps <= warmup_steps";
  EXPECT_EQ(t.report(3, {{0, 1}}), Ids{});
  EXPECT_EQ(t.tuner().next_milestone({0}), 5) << "the end of the interval";
  EXPECT_EQ(t.report(3, {{1, 9}}), Ids{1}) << "the first report of an interval is judged";
}

TEST(Percentile, TwentyFiveKeepsTheBestQuarter) {
  Table t("percentile", {{"percentile", 25.0}, {"min_peers", std::int64_t{3}}}, 5);
  // Peers of trial 4: 1 2 3 4, whose 25th percentile is 1.75.
  EXPECT_EQ(t.report(1, {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 1.8}}), (Ids{1, 2, 3, 4}));
}

TEST(Threshold, BoundsAreInTheMetricsOwnDirection) {
  Table low("threshold", {{"upper", 2.0}}, 2);
  EXPECT_EQ(low.report(1, {{0, 1.9}, {1, 2.1}}), Ids{1});
  Table high("threshold", {{"lower", 0.5}}, 2, 100, Direction::maximize);
  EXPECT_EQ(high.report(1, {{0, 0.4}, {1, 0.6}}), Ids{0});
}

TEST(Patient, StopsWhenTheRecentBestIsWorseThanTheBestBefore) {
  Table t("patient", {{"patience", std::int64_t{1}}, {"min_delta", 0.1}}, 1);
  EXPECT_EQ(t.report(1, {{0, 1.0}}), Ids{});
  EXPECT_EQ(t.report(2, {{0, 1.05}}), Ids{});
  EXPECT_EQ(t.report(3, {{0, 1.05}}), Ids{}) << "worse, but within min_delta";
  EXPECT_EQ(t.report(4, {{0, 1.2}}), Ids{}) << "the best of the last two is 1.05";
  EXPECT_EQ(t.report(5, {{0, 1.2}}), Ids{0});
}

TEST(Pbt, TheWorstQuarterCopiesTheBestAtReadySteps) {
  Table t("pbt", {{"interval", std::int64_t{2}}, {"quantile", 0.25}, {"resample_probability", 0.0}}, 8);
  std::map<std::int64_t, double> values;
  for (std::int64_t id = 0; id < 8; ++id) values[id] = static_cast<double>(id);
  t.report(1, values);
  EXPECT_TRUE(t.actions.empty()) << "not ready";
  t.report(2, values);
  ASSERT_EQ(t.actions.size(), 2u);
  for (const auto& action : t.actions) {
    EXPECT_EQ(action.what, Action::Do::copy);
    EXPECT_GE(action.trial.value, 6);
    EXPECT_LE(action.from.value, 1);
    const double donor = as_number(*find_param(t.tuner().find(action.from)->params, "x")),
                 own = as_number(*find_param(action.params, "x"));
    const double factor = own / donor;
    EXPECT_TRUE(std::abs(factor - 0.8) < 1e-12 || std::abs(factor - 1.2) < 1e-12 || own == 10.0 || own == 0.1)
        << factor;
  }
}

TEST(Pbt, ASmallPopulationCopiesAtMostHalfAndNothingAtTheEnd) {
  Table t("pbt", {{"interval", std::int64_t{5}}, {"quantile", 0.5}}, 3, 10);
  t.report(5, {{0, 1}, {1, 2}, {2, 3}});
  EXPECT_EQ(t.actions.size(), 1u) << "ceil(0.5 x 3) = 2, but half of three is one";
  t.report(10, {{0, 1}, {1, 2}, {2, 3}});
  EXPECT_TRUE(t.actions.empty());
}

TEST(Pbt, RefusesToMutateWhatCannotChange) {
  const SearchSpace space{{{.name = "train.lora.rank", .choices = {std::int64_t{8}, std::int64_t{16}}},
                           {.name = "train.learning_rate", .low = 1e-5, .high = 1e-3, .log = true}}};
  TunerOptions options{.max_steps = 20,
                       .may_change = [](const std::string& name) { return name == "train.learning_rate"; }};
  EXPECT_THROW(make_scheduler("pbt", {{{"mutate", std::string("train.lora.rank")}}, space, options}), Error);
  EXPECT_NO_THROW(make_scheduler("pbt", {{}, space, options}));
}

TEST(Options, MinStepsAboveTheBudgetIsRefused) {
  TunerOptions options{.max_steps = 20};
  EXPECT_THROW(make_scheduler("asha", {{{"min_steps", std::int64_t{21}}}, {}, options}), Error);
  EXPECT_THROW(make_scheduler("asha", {{{"reduction_factor", std::int64_t{1}}}, {}, options}), Error);
  EXPECT_THROW(make_scheduler("ashaa", {{}, {}, options}), Error);
}

TEST(Tuner, ABudgetOfStepsStopsEveryRunningTrial) {
  const SearchSpace space{{{.name = "x", .low = 0, .high = 1}}};
  TunerOptions options{.trials = 10, .max_steps = 100, .budget_steps = 5};
  Tuner tuner(options, make_sampler("random", {{}, space, 0}), make_scheduler("none", {{}, space, options}));
  std::vector<Action> actions;
  tuner.ask(2, actions);
  const std::vector<Report> first{{.trial = {0}, .step = 2, .metric = 1.0}, {.trial = {1}, .step = 2, .metric = 1.0}};
  tuner.report(first, actions);
  EXPECT_TRUE(actions.empty());
  const std::vector<Report> second{{.trial = {0}, .step = 3, .metric = 1.0}};
  tuner.report(second, actions);
  EXPECT_EQ(actions.size(), 2u);
  EXPECT_TRUE(tuner.exhausted());
  EXPECT_TRUE(tuner.ask(1, actions).empty());
}

}  // namespace
}  // namespace finetune::testing
