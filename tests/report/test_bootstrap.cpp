// Validation examples drawn again: intervals and standard errors against what is known of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "report/bootstrap.h"

namespace finetune::testing {
namespace {

// The first `right` of `examples` are right.
std::vector<ExampleFigure> answers(std::size_t examples, std::size_t right) {
  std::vector<ExampleFigure> figures(examples, ExampleFigure{0, 1});
  for (std::size_t i = 0; i < right; ++i) figures[i].value = 1;
  return figures;
}

ReportFacts judged_by(const std::string& metric, Direction direction, std::vector<ExampleFigure> winner,
                      std::vector<ExampleFigure> other) {
  ReportFacts study;
  study.metric = metric;
  study.direction = direction;
  study.judged = {{3, std::move(winner)}, {7, std::move(other)}};
  return study;
}

// Beside one that is never right the difference is a share of right answers.
TEST(Bootstrap, HasTheIntervalOfABinomial) {
  const auto comparisons =
      compare_judged(judged_by("exact_match", Direction::maximize, answers(400, 120), answers(400, 0)));
  ASSERT_EQ(comparisons.size(), 1u);
  const double error = std::sqrt(0.3 * 0.7 / 400);
  EXPECT_NEAR((comparisons[0].high - comparisons[0].low) / 2, 1.96 * error, 0.15 * error);
  EXPECT_NEAR((comparisons[0].high + comparisons[0].low) / 2, 0.3, 0.1 * error);
}

// Of a mean of a thousand normal numbers the interval is 1.96 standard errors to either side.
TEST(Bootstrap, HasTheIntervalOfAMean) {
  Random random(1, Purpose::test, 0);
  std::vector<ExampleFigure> winner, other;
  double sum = 0, squares = 0;
  for (int i = 0; i < 1000; ++i) {
    const double hard = 5 * random.normal(), difference = 0.1 + random.normal();  // hard for both alike
    winner.push_back({hard, 1});
    other.push_back({hard + difference, 1});
    sum += difference;
    squares += difference * difference;
  }
  const double mean = sum / 1000, error = std::sqrt((squares / 1000 - mean * mean) / 1000);
  const auto comparisons = compare_judged(judged_by("valid_loss", Direction::minimize, winner, other));
  ASSERT_EQ(comparisons.size(), 1u);
  EXPECT_EQ(comparisons[0].other, 7);
  EXPECT_EQ(comparisons[0].examples, 1000);
  EXPECT_NEAR(comparisons[0].difference, mean, 1e-9);
  EXPECT_NEAR(comparisons[0].low, mean - 1.96 * error, 0.15 * error);
  EXPECT_NEAR(comparisons[0].high, mean + 1.96 * error, 0.15 * error);
}

TEST(Bootstrap, AboveZeroIsBetterWhicheverWayTheMetricGoes) {
  const auto more = answers(200, 150), fewer = answers(200, 100);
  const auto up = compare_judged(judged_by("exact_match", Direction::maximize, more, fewer));
  const auto down = compare_judged(judged_by("exact_match", Direction::minimize, more, fewer));
  ASSERT_EQ(up.size() + down.size(), 2u);
  EXPECT_DOUBLE_EQ(up[0].difference, 0.25);
  EXPECT_GT(up[0].low, 0.15);
  EXPECT_LT(up[0].high, 0.35);
  EXPECT_DOUBLE_EQ(down[0].difference, -up[0].difference);
  EXPECT_NEAR(down[0].low, -up[0].high, 1e-12);
  EXPECT_NEAR(down[0].high, -up[0].low, 1e-12);
}

// Both sides see the same draw, else this would be as wide as the examples are different.
TEST(Bootstrap, OfAConstantDifferenceTheIntervalIsAPoint) {
  std::vector<ExampleFigure> winner, other;
  for (int i = 0; i < 50; ++i) {
    winner.push_back({static_cast<double>(i * i), 1});
    other.push_back({static_cast<double>(i * i) + 2, 1});
  }
  const auto comparisons = compare_judged(judged_by("valid_loss", Direction::minimize, winner, other));
  ASSERT_EQ(comparisons.size(), 1u);
  EXPECT_NEAR(comparisons[0].low, 2, 1e-9);
  EXPECT_NEAR(comparisons[0].high, 2, 1e-9);
}

// A loss is a sum over tokens by a number of tokens: an example counts by its length.
TEST(Bootstrap, ComputesTheMetricOverEachDraw) {
  std::vector<ExampleFigure> own(8, {1, 1}), longer_one(8, {1, 1});
  own[0] = {10, 10}, longer_one[0] = {20, 10};
  const auto loss = compare_judged(judged_by("valid_loss", Direction::minimize, own, longer_one));
  ASSERT_EQ(loss.size(), 1u);
  EXPECT_DOUBLE_EQ(loss[0].difference, 27.0 / 17 - 1);
  EXPECT_DOUBLE_EQ(loss[0].low, 0) << "a third of the draws are without the long example";
  EXPECT_DOUBLE_EQ(loss[0].high, 30.0 / 35) << "1 in 80 has it more than three times";
  own.pop_back(), longer_one.pop_back();
  EXPECT_TRUE(compare_judged(judged_by("valid_loss", Direction::minimize, own, longer_one)).empty()) << "too few";
  // The winner is right on all; the other takes one in ten 0s for a 1.
  std::vector<ExampleFigure> right, mostly;
  for (int i = 0; i < 100; ++i) {
    const double label = i % 2;
    right.push_back({label, label});
    mostly.push_back({i % 20 == 0 ? 1 - label : label, label});
  }
  const auto labels = compare_judged(judged_by("macro_f1", Direction::maximize, right, mostly));
  ASSERT_EQ(labels.size(), 1u);
  EXPECT_NEAR(labels[0].difference, 1 - (2 * 45 / (45 + 50.0) + 2 * 50 / (55 + 50.0)) / 2, 1e-12);
  EXPECT_GT(labels[0].low, 0);
  EXPECT_LT(labels[0].high, 0.12);
}

TEST(Bootstrap, GivesTheSameAgain) {
  const ReportFacts study = judged_by("exact_match", Direction::maximize, answers(97, 60), answers(97, 50));
  const auto once = compare_judged(study), again = compare_judged(study);
  ASSERT_EQ(once.size(), 1u);
  EXPECT_EQ(once[0].low, again[0].low);
  EXPECT_EQ(once[0].high, again[0].high);
  EXPECT_NE(once[0].low, once[0].high);
}

TEST(Bootstrap, LeavesOutWhatCannotBeCompared) {
  const auto some = answers(20, 10);
  EXPECT_TRUE(compare_judged({}).empty());
  EXPECT_TRUE(compare_judged(judged_by("command", Direction::minimize, some, some)).empty());
  EXPECT_TRUE(compare_judged(judged_by("of somebody else", Direction::minimize, some, some)).empty());
  EXPECT_TRUE(compare_judged(judged_by("exact_match", Direction::maximize, some, answers(19, 10))).empty());
  EXPECT_TRUE(compare_judged(judged_by("exact_match", Direction::maximize, {}, {})).empty());
  auto broken = some;
  broken[3].value = std::nan("");
  EXPECT_TRUE(compare_judged(judged_by("exact_match", Direction::maximize, some, broken)).empty());
  EXPECT_TRUE(compare_judged(judged_by("exact_match", Direction::maximize, broken, some)).empty());
  ReportFacts three = judged_by("exact_match", Direction::maximize, some, broken);
  three.judged.push_back({std::nullopt, answers(20, 5)});
  const auto comparisons = compare_judged(three);
  ASSERT_EQ(comparisons.size(), 1u);
  EXPECT_FALSE(comparisons[0].other) << "the default configuration";
  EXPECT_DOUBLE_EQ(comparisons[0].difference, 0.25);
}

TEST(Bootstrap, DrawsLessOftenOfManyExamples) {
  EXPECT_EQ(bootstrap_draws(1, 1), 2000u);
  EXPECT_EQ(bootstrap_draws(3333, 3), 2000u);
  EXPECT_EQ(bootstrap_draws(20'000, 2), 500u);
  EXPECT_EQ(bootstrap_draws(10'000'000, 2), 100u);
}

TEST(Bootstrap, IsWhatAnalyzeComparesBy) {
  ReportFacts study = judged_by("exact_match", Direction::maximize, answers(200, 150), answers(200, 100));
  analyze(study);
  ASSERT_EQ(study.comparisons.size(), 1u);
  study.judged.clear();
  analyze(study);
  EXPECT_EQ(study.comparisons.size(), 1u) << "what a report says stays where the figures are no more";
}

}  // namespace
}  // namespace finetune::testing
