// Hints: each where its facts are, with its evidence, and none where they are not.
#include <gtest/gtest.h>

#include <cmath>

#include "report/hints.h"
#include "report/made_studies.h"

namespace finetune::testing {
namespace {

ReportFacts with_value(ParameterFacts parameter, Value value) {
  ReportFacts study;
  study.trials = {{.id = 4, .params = {{parameter.name, std::move(value)}}, .state = "completed", .metric = 1}};
  study.search = {std::move(parameter)};
  study.best = 0;
  return study;
}

TEST(Hints, BestValueAtTheEndOfARange) {
  const ParameterFacts rate{.name = "train.learning_rate", .low = 1e-5, .high = 1e-2, .log = true};
  const auto hints = hints_of(with_value(rate, 0.0099));
  ASSERT_EQ(hints.size(), 1u);
  EXPECT_EQ(hints[0].text,
            "The best train.learning_rate lies at the upper end of what was searched: there may be better above, so "
            "try a wider range.");
  EXPECT_EQ(hints[0].evidence, "trial 4 has 0.0099, the search ends at 0.01");
  const auto count = [](const ParameterFacts& parameter, const Value& value) {
    return hints_of(with_value(parameter, value)).size();
  };
  EXPECT_EQ(count(rate, 0.0085), 0u) << "2.4 % of the decades away";
  EXPECT_EQ(count(rate, 5e-5), 0u) << "a quarter of the decades away";
  EXPECT_EQ(count(rate, 1.1e-5), 1u) << "1.4 % of the decades away, though nothing of the range";
  EXPECT_EQ(count(rate, 2.0), 1u) << "a population leaves the range";
  const ParameterFacts ratio{.name = "r", .low = 0.1, .high = 0.5};
  EXPECT_EQ(count(ratio, 0.107), 1u);
  EXPECT_EQ(count(ratio, 0.11), 0u);
  const ParameterFacts rank{.name = "train.lora.rank", .low = 4, .high = 64, .integer = true};
  EXPECT_EQ(count(rank, std::int64_t{64}), 1u);
  EXPECT_EQ(count(rank, std::int64_t{63}), 0u);
  EXPECT_EQ(hints_of(with_value(rank, std::int64_t{4})).at(0).evidence, "trial 4 has 4, the search begins at 4");
  const std::vector<Value> sizes{Value{std::int64_t{8}}, Value{std::int64_t{16}}, Value{std::int64_t{32}}};
  EXPECT_EQ(count({.name = "b", .choices = sizes, .ordinal = true}, std::int64_t{32}), 1u);
  EXPECT_EQ(count({.name = "b", .choices = sizes, .ordinal = true}, std::int64_t{16}), 0u);
  EXPECT_EQ(count({.name = "b", .choices = sizes}, std::int64_t{32}), 0u) << "they have no order";
}

TEST(Hints, NothingLiesBeyondSomeEnds) {
  EXPECT_TRUE(hints_of(with_value({.name = "train.lora.dropout", .low = 0, .high = 0.2}, 0.0)).empty());
  EXPECT_TRUE(hints_of(with_value({.name = "data.weights.a", .low = 0, .high = 1}, 1.0)).empty());
  EXPECT_TRUE(hints_of(with_value({.name = "b", .low = 1, .high = 9, .integer = true}, std::int64_t{1})).empty());
  EXPECT_EQ(hints_of(with_value({.name = "train.lora.dropout", .low = 0, .high = 0.2}, 0.2)).size(), 1u);
}

// At its best at step 40, with a training loss that goes on falling.
TrialFacts overfitted(std::int64_t id) {
  TrialFacts trial{.id = id, .state = "completed", .metric = 1.5, .step = 40, .steps = 100};
  for (std::int64_t step = 1; step <= 100; ++step)
    trial.train_loss.push_back({step, 2 - 0.01 * static_cast<double>(step)});
  trial.metrics = {{20, 1.7}, {40, 1.5}, {100, 1.8}};
  return trial;
}

TEST(Hints, TrainingThatGoesOnPastItsBest) {
  ReportFacts study;
  study.trials = {overfitted(0)};
  study.best = 0;
  const auto hints = hints_of(study);
  ASSERT_EQ(hints.size(), 1u);
  EXPECT_NE(hints[0].text.find("fewer steps (train.steps)"), std::string::npos) << hints[0].text;
  EXPECT_EQ(hints[0].evidence,
            "trial 0 has valid_loss 1.5 at step 40 and 1.8 at step 100, while its training loss fell from 1.65 to "
            "1.04");
  ReportFacts made = study;
  made.trials[0].metrics.back().value = 1.51;
  EXPECT_TRUE(hints_of(made).empty()) << "a little is noise";
  made = study;
  for (CurvePoint& point : made.trials[0].train_loss) point.value = static_cast<double>(point.step);
  EXPECT_TRUE(hints_of(made).empty()) << "it diverges";
  made = study;
  made.trials[0].train_loss.clear();
  EXPECT_TRUE(hints_of(made).empty()) << "there is no evidence";
  made = study;
  made.direction = Direction::maximize;
  EXPECT_TRUE(hints_of(made).empty()) << "at its best at the end";
}

TEST(Hints, MostCompletedTrialsMayOverfitWithoutTheBest) {
  ReportFacts study;
  TrialFacts best{.id = 9, .state = "completed", .metric = 1.4, .step = 100, .steps = 100};
  best.metrics = {{100, 1.4}};
  study.trials = {best, overfitted(0), overfitted(1)};
  study.best = 0;
  ASSERT_EQ(hints_of(study).size(), 1u);
  EXPECT_EQ(hints_of(study)[0].evidence.find("2 of 3 completed trials; trial 0 has"), 0u)
      << hints_of(study)[0].evidence;
  study.trials.push_back(best);
  EXPECT_TRUE(hints_of(study).empty()) << "half are not most";
  study.trials.pop_back();
  study.trials[2].state = "stopped";
  EXPECT_TRUE(hints_of(study).empty());
}

TEST(Hints, RateThatDependsOnAnother) {
  ReportFacts study;
  study.interactions = {{"train.batch_size", "train.learning_rate", 0.31},
                        {"train.lora.rank", "train.batch_size", 0.2}};
  ASSERT_EQ(hints_of(study).size(), 1u);
  EXPECT_NE(hints_of(study)[0].text.find("depends on train.batch_size"), std::string::npos);
  EXPECT_NE(hints_of(study)[0].evidence.find("31 % of the variance of valid_loss"), std::string::npos);
  study.interactions[0].share = 0.09;
  EXPECT_TRUE(hints_of(study).empty());
}

TEST(Hints, RungsThatMislead) {
  ReportFacts study;
  study.guarded_levels = {10, 30};
  ASSERT_EQ(hints_of(study).size(), 1u);
  EXPECT_NE(hints_of(study)[0].evidence.find("step 10, 30 came"), std::string::npos) << hints_of(study)[0].evidence;
}

// An interval of 0.08 to either side about 0.02 is four times too wide: sixteen times the examples.
TEST(Hints, HowManyExamplesWouldTell) {
  ReportFacts study = with_value({.name = "x"}, 1.0);
  study.search.clear();
  study.comparisons = {{std::nullopt, 0.1, -0.1, 0.3, 200}, {8, 0.02, -0.06, 0.1, 200}};
  auto hints = hints_of(study);
  ASSERT_EQ(hints.size(), 1u);
  EXPECT_NE(hints[0].text.find("about 3,200 examples would"), std::string::npos) << hints[0].text;
  EXPECT_EQ(hints[0].evidence,
            "over 200 examples trial 4 is 0.02 better than trial 8, and with others it would be 0.06 worse to 0.1 "
            "better");
  study.comparisons[1].low = 0;
  EXPECT_NE(hints_of(study).at(0).text.find("about 210 examples would"), std::string::npos) << "more than there are";
  study.comparisons[1] = {8, -0.02, -0.1, 0.06, 200};
  EXPECT_EQ(hints_of(study).at(0).text, hints[0].text) << "confirmed by seeds, it may be behind";
  EXPECT_NE(hints_of(study).at(0).evidence.find("trial 4 is 0.02 worse than trial 8"), std::string::npos);
  study.comparisons[1].difference = 0;
  EXPECT_NE(hints_of(study).at(0).text.find("as good as each other"), std::string::npos);
  study.comparisons[1].low = study.comparisons[1].high = 0;
  EXPECT_EQ(hints_of(study).at(0).evidence, "trials 4 and 8 are the same in each of 200 examples");
  study.comparisons[1].high = 0.06;
  study.comparisons[1].low = 0.01;
  EXPECT_TRUE(hints_of(study).empty()) << "they are told apart";
}

// Of a clock, so no part of study.hints.
TEST(Hints, MostOfTheTimeInEvaluation) {
  ReportFacts study;
  study.seconds = 100;
  study.evaluation_seconds = 60;
  EXPECT_TRUE(hints_of(study).empty());
  ASSERT_EQ(hints_to_show(study).size(), 1u);
  EXPECT_EQ(hints_to_show(study)[0].evidence, "1 min 0 s of 1 min 40 s");
  EXPECT_EQ(hints_to_show(study)[0].text.find("tune.generate"), std::string::npos) << "nothing is generated";
  study.metric = "exact_match";
  EXPECT_NE(hints_to_show(study).at(0).text.find("tune.generate.examples"), std::string::npos);
  study.evaluation_seconds = 40;
  EXPECT_TRUE(hints_to_show(study).empty());
}

TEST(Hints, NothingIsSaidOfNothing) {
  EXPECT_TRUE(hints_to_show({}).empty());
}

}  // namespace
}  // namespace finetune::testing
