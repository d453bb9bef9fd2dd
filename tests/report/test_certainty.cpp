// What is said of how sure the winner is: over seeds, over validation examples, against the default, on test data.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "report/certainty.h"
#include "report/facts.h"

namespace finetune::testing {
namespace {

// Trials 3, 7 and 1, the best first.
ReportFacts three_trials() {
  ReportFacts study;
  double metric = 1.5;
  for (const std::int64_t id : {3, 7, 1}) {
    study.trials.push_back({.id = id, .state = "completed", .metric = metric, .step = 90});
    metric += 0.1;
  }
  study.best = 0;
  study.default_metric = 1.9;
  return study;
}

ConfirmedFact over_two_seeds(std::int64_t trial, double mean, double error) {
  return {.trial = trial, .metrics = {mean - error, mean + error}, .mean = mean, .standard_error = error};
}

bool says(const ReportFacts& study, const std::string& text) {
  return verdict(study).find(text) != std::string::npos;
}

TEST(Certainty, OverSeedsTheWinnerHasAMeanAndAnError) {
  ReportFacts study = three_trials();
  study.confirmed = {over_two_seeds(3, 1.6, 0.0125)};
  EXPECT_TRUE(says(study, "Over 2 more seeds it has 1.6 ± 0.013 (mean and standard error).")) << verdict(study);
  study.confirmed = {{.trial = 3, .metrics = {1.6}, .mean = 1.6}};
  EXPECT_TRUE(says(study, "Over 1 more seed it has 1.6. The default")) << verdict(study);
  study.confirmed = {{.trial = 3, .metrics = {std::nan("")}, .mean = std::nan("")}};
  EXPECT_FALSE(says(study, "more seed")) << verdict(study);
  study.confirmed.clear();
  study.confirmation = "not confirmed: would cost 600 steps more";
  EXPECT_TRUE(says(study, " Not confirmed: would cost 600 steps more.")) << verdict(study);
}

// Three times two seeds leave three degrees of freedom: Student's 3.182, of a difference of two means of error 0.01
// each. With 1.96 the second case would be called sure.
TEST(Certainty, MeansDifferWhereSeedsChangeLess) {
  ReportFacts study = three_trials();
  const double bound = 3.182 * std::sqrt(2) * 0.01;
  study.confirmed = {over_two_seeds(3, 1.5, 0.01), over_two_seeds(7, 1.5 + 1.02 * bound, 0.01),
                     over_two_seeds(1, 1.5 + 0.98 * bound, 0.01)};
  EXPECT_EQ(standing_against(study, 7).seeds, Lead::sure);
  EXPECT_EQ(standing_against(study, 1).seeds, Lead::chance);
  EXPECT_EQ(standing_against(study, 5).seeds, Lead::unknown);
  EXPECT_TRUE(says(study,
                   "Trial 3 is better than trial 7, but cannot be told apart from trial 1: other seeds may turn their "
                   "order around."))
      << verdict(study);
  study.direction = Direction::maximize;
  EXPECT_EQ(standing_against(study, 7).seeds, Lead::chance) << "it is ahead";
}

// Twice twelve seeds leave 22 degrees of freedom: Student's 2.0739.
TEST(Certainty, ManySeedsNeedALesserLead) {
  ReportFacts study = three_trials();
  const auto over_twelve = [](std::int64_t trial, double mean) {
    return ConfirmedFact{trial, std::vector<double>(12, mean), mean, 0.01};
  };
  const double bound = 2.0739 * std::sqrt(2) * 0.01;
  study.confirmed = {over_twelve(3, 1.5), over_twelve(7, 1.5 + 1.001 * bound)};
  EXPECT_EQ(standing_against(study, 7).seeds, Lead::sure);
  study.confirmed[1].mean = 1.5 + 0.999 * bound;
  EXPECT_EQ(standing_against(study, 7).seeds, Lead::chance);
}

TEST(Certainty, WhateverWasMeasuredHasToSaySo) {
  ReportFacts study = three_trials();
  study.comparisons = {{7, 0.1, 0.05, 0.15, 200}, {1, 0.2, 0.1, 0.3, 200}};
  EXPECT_TRUE(says(study, " Trial 3 is better than trials 7 and 1.")) << verdict(study);
  study.comparisons[0].low = -0.01;
  study.comparisons[1].low = 0;
  EXPECT_TRUE(
      says(study, " Trials 3, 7 and 1 cannot be told apart: other validation examples may turn their order around."))
      << verdict(study);
  study.comparisons[1].low = 0.1;
  study.confirmed = {over_two_seeds(3, 1.5, 0.2), over_two_seeds(1, 1.6, 0.2)};
  EXPECT_TRUE(says(study, "Trials 3, 1 and 7 cannot be told apart: other seeds or other validation examples may"))
      << verdict(study);
  EXPECT_FALSE(standing_against(study, 1).sure());
  EXPECT_FALSE(says(three_trials(), "told apart"));
  EXPECT_FALSE(says(three_trials(), "better than"));
}

TEST(Certainty, OfTheDefaultConfigurationLikewise) {
  const std::string caution = "may change: do not read much into it.";
  ReportFacts study = three_trials();
  EXPECT_FALSE(says(study, caution)) << "21 % are not little, as far as anybody knows";
  study.default_metric = 1.501;
  EXPECT_TRUE(says(study, "That is within what another seed " + caution)) << verdict(study);
  study.comparisons = {{std::nullopt, 0.001, 0.0005, 0.0015, 9000}};
  EXPECT_FALSE(says(study, caution)) << verdict(study);
  EXPECT_TRUE(says(study, "Over other validation examples it would be 0.0005 to 0.0015 better (95 %)."))
      << verdict(study);
  study.default_metric = 1.9;
  study.comparisons = {{std::nullopt, 0.4, -0.1, 0.9, 9}};
  EXPECT_TRUE(says(study, "That is within what other validation examples " + caution)) << verdict(study);
  study.comparisons.clear();
  study.confirmed = {over_two_seeds(3, 1.5, 0.01)};
  EXPECT_TRUE(says(study, " That is more than other seeds change.")) << verdict(study);
  study.confirmed = {over_two_seeds(3, 1.5, 0.1)};
  EXPECT_TRUE(says(study, "That is within what other seeds " + caution)) << verdict(study);
}

TEST(Certainty, TestDataIsSpokenOf) {
  ReportFacts study = three_trials();
  study.test = TestFact{1.7, 1.95, 3.25};
  EXPECT_TRUE(says(study, "On the test data it has 1.7, the default configuration 1.95, the untouched base 3.25."))
      << verdict(study);
  EXPECT_FALSE(says(study, "There"));
  study.test = TestFact{1.7, 1.65, std::nullopt};
  EXPECT_TRUE(says(study, "configuration 1.65. There it is no better than the default")) << verdict(study);
  study.test = TestFact{1.7, 1.65, 1.6};
  EXPECT_TRUE(says(study, "There training did not improve the base.")) << verdict(study);
  study.test = TestFact{};
  EXPECT_TRUE(says(study, "On the test data it could not be scored.")) << verdict(study);
  study.best.reset();
  EXPECT_EQ(verdict(study), "No trial was evaluated, so there is no winner.");
}

}  // namespace
}  // namespace finetune::testing
