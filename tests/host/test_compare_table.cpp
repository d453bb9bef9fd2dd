// The table of the verb compare: its arithmetic on made-up runs, and what the simulated form promises.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "host/compare/simulated.h"
#include "host/compare/table.h"

namespace finetune::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Reaches 2.01 after 10 steps of 100, 1.0 after 60; the best trial took 25 of them.
ComparedRun slow(std::uint64_t seed, double best) {
  return {.method = "slow",
          .seed = seed,
          .concurrent = 4,
          .best = best,
          .improvements = {{2.01, 10, 5, 0.1}, {best, 60, 30, 0.6}},
          .steps = 100,
          .best_steps = 25,
          .decisions = 10,
          .decision_seconds = 2e-5};
}

TEST(CompareTable, TheMedianIsTheMiddleOrTheMeanOfTheTwo) {
  EXPECT_EQ(median({}), std::nullopt);
  EXPECT_EQ(median({3, 1, 2}), 2.0);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_EQ(median({1, kInfinity, 2}), 2.0);
}

TEST(CompareTable, ColumnsFromTwoMethods) {
  std::vector<ComparedRun> runs{slow(0, 1.0), slow(1, 1.005), slow(2, 3.0)};
  ComparedRun fast = slow(0, 1.2);
  fast.method = "fast";
  runs.push_back(fast);
  const ComparisonTable table = compare_runs(runs, 4);
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_DOUBLE_EQ(*table.reach, 1.005 * 1.01);  // 1 % above the best median, that of 1.0, 1.005 and 3.0
  const MethodRow& row = table.rows[0];
  EXPECT_EQ(row.method, "slow");
  EXPECT_EQ(row.best, 1.005);
  EXPECT_EQ(row.low, 1.0);
  EXPECT_EQ(row.high, 3.0);
  EXPECT_EQ(row.reached, 2);
  EXPECT_EQ(row.steps, 60.0);
  EXPECT_EQ(row.seconds, 0.6);
  EXPECT_DOUBLE_EQ(row.lost_share, 0.75);
  EXPECT_DOUBLE_EQ(row.decision_microseconds, 2.0);
  EXPECT_EQ(table.rows[1].reached, 0);
  EXPECT_EQ(table.rows[1].steps, std::nullopt);
}

TEST(CompareTable, APointIsOnTheFrontUnlessAnotherIsAsGoodInBothAndBetterInOne) {
  using Points = std::vector<std::pair<double, double>>;
  EXPECT_EQ(pareto_front(Points{{1, 5}, {2, 4}, {3, 4}, {4, 1}, {4, 3}}),
            (std::vector<bool>{true, true, false, true, false}));
  EXPECT_EQ(pareto_front(Points{{1, 1}, {1, 1}, {1, 2}}), (std::vector<bool>{true, true, false}));
  EXPECT_EQ(pareto_front({}), std::vector<bool>{});
}

TEST(CompareTable, TheFrontIsThatOfStepsToItsBestAgainstTheMetric) {
  const auto run = [](const char* method, double best, std::vector<Improvement> improvements) {
    ComparedRun made = slow(0, best);
    made.method = method;
    made.improvements = std::move(improvements);
    return made;
  };
  const ComparisonTable table = compare_runs(
      std::vector{run("late", 1.0, {{2, 10}, {1.0, 90}}), run("early", 1.5, {{3, 10}, {1.5, 20}, {1.2, 30}}),
                  run("worse", 1.7, {{1.7, 50}}), run("none", kInfinity, {})},
      4);
  const ComparedRun nothing{.method = "nothing", .concurrent = 4};
  EXPECT_EQ(table.rows[0].steps_to_best, 90.0);
  EXPECT_EQ(table.rows[1].steps_to_best, 20.0) << "as good as its final metric, not as its lowest";
  EXPECT_TRUE(table.rows[0].on_front);
  EXPECT_TRUE(table.rows[1].on_front);
  EXPECT_FALSE(table.rows[2].on_front);
  EXPECT_FALSE(compare_runs(std::vector{nothing}, 4).rows[0].on_front) << "without a metric there is no point";
  const std::string text = table_markdown(table);
  EXPECT_NE(text.find("Pareto front of steps against valid_loss: early 1.5000 after 20 steps, late 1.0000 after 90 "
                      "steps."),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("| 20 (front) |"), std::string::npos) << text;
  EXPECT_EQ(table_json(table).at("methods")[1].at("on_front"), true);
  EXPECT_EQ(table_json(table).at("methods")[2].at("on_front"), false);
  EXPECT_EQ(table_json(table).at("methods")[2].at("steps_to_best"), 50.0);
}

TEST(CompareTable, OnlyRunsOfTheMainWidthFillTheMainColumns) {
  std::vector<ComparedRun> runs{slow(0, 1.0), slow(0, 1.0)};
  runs[1].concurrent = 1;
  runs[1].improvements = {{1.0, 90, 90, 0.9}};
  const MethodRow row = compare_runs(runs, 4).rows.at(0);
  EXPECT_EQ(row.seeds, 1);
  EXPECT_EQ(row.steps, 60.0);
  ASSERT_EQ(row.scaling.size(), 2u);
  EXPECT_EQ(row.scaling[0].concurrent, 1);
  EXPECT_EQ(row.scaling[0].rounds, 90.0);
  EXPECT_EQ(row.scaling[1].rounds, 30.0);
}

TEST(CompareTable, NegativeMetricsHaveTheirPercentAboveToo) {
  EXPECT_DOUBLE_EQ(*compare_runs(std::vector{slow(0, -2.0)}, 4).reach, -1.98);
}

TEST(CompareTable, AMethodThatNeverGotAMetricHasDashes) {
  ComparedRun run = slow(0, 1.0);
  run.best.reset();
  run.improvements.clear();
  const ComparisonTable table = compare_runs(std::vector{run}, 4);
  EXPECT_EQ(table.rows[0].best, std::nullopt);
  EXPECT_NE(table_markdown(table).find("| - (- to -) | 0 of 1 | - | - |"), std::string::npos);
}

TEST(CompareTable, RealTrainingAddsSecondsAndWhatDecisionsCost) {
  std::vector<ComparedRun> runs{slow(0, 1.0), slow(0, 1.0)};
  runs[0].seconds = 2.0;
  runs[1].seconds = 4.0;
  runs[1].concurrent = 8;
  const ComparisonTable table = compare_runs(runs, 4);
  const MethodRow& row = table.rows[0];
  EXPECT_DOUBLE_EQ(*row.decision_share, 1e-5);  // 20 microseconds of 2 s
  EXPECT_EQ(row.scaling[0].steps_per_second, 50.0);
  EXPECT_EQ(row.scaling[1].steps_per_second, 25.0);
  EXPECT_EQ(row.scaling[1].seconds, 0.6);
  EXPECT_NE(table_markdown(table).find("| 30 / 30 | 0.6 / 0.6 | 50.0 / 25.0 |"), std::string::npos);
}

TEST(CompareTable, AMetricThatIsMaximizedIsWrittenWithItsOwnSign) {
  ComparisonTable table = compare_runs(std::vector{slow(0, -0.9), slow(1, -0.8), slow(2, -0.7)}, 4);
  table.direction = Direction::maximize;
  EXPECT_NE(table_markdown(table).find("0.8000 (0.7000 to 0.9000)"), std::string::npos) << table_markdown(table);
  EXPECT_NE(table_markdown(table).find("Higher is better"), std::string::npos);
  EXPECT_EQ(table_json(table).at("methods")[0].at("best_highest"), 0.9);
  EXPECT_DOUBLE_EQ(table_json(table).at("within_reach").get<double>(), 0.792);
}

RunConfig small_config() {
  RunConfig config;
  config.train.steps = 20;
  config.tune.trials = 4;
  return config;
}

TEST(CompareSimulated, EveryMethodSpendsTheSameStepsAndSeedsRepeat) {
  const CompareOptions options{{"random", "hyperband", "pbt", "grid"}, 2};
  const ComparisonTable table = compare_simulated(small_config(), options);
  EXPECT_EQ(table.budget.steps, 80);
  ASSERT_EQ(table.rows.size(), 3u);
  ASSERT_EQ(table.skipped.size(), 1u);  // a grid cannot walk a continuous learning rate
  EXPECT_NE(table.skipped[0].why.find("search.train.learning_rate"), std::string::npos) << table.skipped[0].why;
  const ComparisonTable again = compare_simulated(small_config(), options);
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    EXPECT_EQ(table.rows[i].best, again.rows[i].best);
    EXPECT_EQ(table.rows[i].steps, again.rows[i].steps);
    EXPECT_EQ(table.rows[i].scaling.size(), 3u);  // 1, 4 and 16 side by side
  }
}

TEST(CompareSimulated, OptionsOfANamedSchedulerGoToTheMethodsThatUseIt) {
  RunConfig config = small_config();
  config.tune.scheduler = TunerPart{"threshold", {{"upper", 0.1}}};  // below every curve: each trial takes two
  // steps, the first of which has the rate 0 and is judged by nobody
  const ComparisonTable table = compare_simulated(config, {{"threshold", "none"}, 1});
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_DOUBLE_EQ(table.rows[0].lost_share, 78.0 / 80);
  EXPECT_DOUBLE_EQ(table.rows[1].lost_share, 3.0 / 4);
}

TEST(CompareSimulated, ACutFitsTheBudgetAndIsLeftOutWhereStepsHaveNone) {
  const ComparisonTable table = compare_simulated(small_config(), {{"cut"}, 1});
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_DOUBLE_EQ(table.rows[0].lost_share, 60.0 / 80) << "16 trials to step 4, one of which goes on to step 20";
  RunConfig timed = small_config();
  timed.search = {{.name = "train.learning_rate", .low = 1e-4, .high = 1e-3}};
  timed.tune.budget.seconds = 10;
  const Sweep sweep = plan_sweep(timed, {{"cut", "random"}, 1, {4}});
  EXPECT_EQ(sweep.studies.size(), 1u);
  ASSERT_EQ(sweep.table.skipped.size(), 1u);
  EXPECT_EQ(sweep.table.skipped[0].method, "cut");
}

TEST(CompareSimulated, TheWidthsAreTheUsers) {
  const ComparisonTable table = compare_simulated(small_config(), {{"random"}, 1, {2, 3}});
  EXPECT_EQ(table.concurrent, 2);
  ASSERT_EQ(table.rows[0].scaling.size(), 2u);
  EXPECT_EQ(table.rows[0].scaling[1].concurrent, 3);
}

TEST(CompareSimulated, TheUsersOwnGridIsSearched) {
  RunConfig config = small_config();
  config.search = {{.name = "train.learning_rate", .choices = {1e-4, 3e-4, 1e-3}}};
  const ComparisonTable table = compare_simulated(config, {{"grid"}, 1});
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_DOUBLE_EQ(table.rows[0].lost_share, 2.0 / 3);  // three whole trials, one of which is the best
}

TEST(CompareSimulated, RefusesWhatItCannotDoNamingIt) {
  const auto message = [](const RunConfig& config, const std::string& method) -> std::string {
    try {
      compare_simulated(config, {{method}, 1});
    } catch (const Error& error) {
      return error.kind() == ErrorKind::bad_input ? error.what() : "";
    }
    return "";
  };
  EXPECT_NE(message(small_config(), "gpp").find("gpp"), std::string::npos);
  EXPECT_NE(message(small_config(), "random+ashaa").find("asha"), std::string::npos);
  EXPECT_NE(message(small_config(), "auto").find("auto"), std::string::npos);
  EXPECT_NE(message(small_config(), "grid").find("search.train.learning_rate"), std::string::npos);
  RunConfig unknown = small_config();
  unknown.search = {{.name = "train.beta1", .low = 0.8, .high = 0.95}};
  EXPECT_NE(message(unknown, "random").find("search.train.beta1"), std::string::npos);
  RunConfig unequal = small_config();
  unequal.tune.budget.target = 1.5;
  EXPECT_NE(message(unequal, "random").find("tune.budget.target"), std::string::npos);
}

}  // namespace
}  // namespace finetune::testing
