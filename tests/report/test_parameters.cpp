// What a report says of parameters and of steps: all trials at one step, with the parameters that they had there.
#include <gtest/gtest.h>

#include <algorithm>

#include "report/correlation.h"
#include "report/lineage.h"
#include "report/made_studies.h"
#include "report/parameters.h"

namespace finetune::testing {
namespace {

double share_of(const ReportFacts& study, const std::string& name) {
  const auto found = std::ranges::find(study.importance, name, &ImportanceFact::parameter);
  return found == study.importance.end() ? -1 : found->share;
}

// Trials that a scheduler stopped early have not had the time to be good.
TEST(Parameters, AreComparedAtOneStep) {
  ReportFacts study;
  for (std::int64_t id = 0; id < 8; ++id) {
    TrialFacts trial{.id = id, .state = id < 2 ? "completed" : "stopped"};
    trial.params = {{"a", id % 2 == 1}, {"b", id < 2}};
    trial.metrics = {{10, 5.0 + static_cast<double>(id % 2)}};
    if (id < 2) trial.metrics.push_back({100, 1.0});
    trial.metric = trial.metrics.back().value;
    study.trials.push_back(trial);
  }
  analyze(study);
  EXPECT_EQ(study.compared_step, 10) << "only two of eight reached step 100";
  ASSERT_EQ(study.importance.size(), 2u);
  EXPECT_EQ(study.importance[0].parameter, "a");
  EXPECT_GT(share_of(study, "a"), 0.99) << "at step 10 a alone makes the difference";
  EXPECT_LT(share_of(study, "b"), 0.01) << "b says who was trained on, not what is better";
  EXPECT_NE(report_html(study).find("at step 10"), std::string::npos);
  EXPECT_NE(report_markdown(study).find("at step 10"), std::string::npos);
  for (std::size_t i = 2; i < 5; ++i) study.trials[i].metrics.push_back({100, 1.0});
  EXPECT_EQ(comparable_step(study.trials), 100) << "now more than half, and five, did";
  study.trials.resize(4);
  analyze(study);
  EXPECT_EQ(study.compared_step, 0) << "four trials say nothing";
  EXPECT_TRUE(study.importance.empty());
}

TEST(Parameters, WhatMattersInTheMadeStudyIsFound) {
  const ReportFacts study = made_study(300);
  EXPECT_EQ(study.importance[0].parameter, "train.learning_rate");
  EXPECT_GT(study.importance[0].share, 0.6);
  EXPECT_EQ(study.importance[1].parameter, "train.lora.rank");
  EXPECT_EQ(study.importance[0].trials, study.importance[1].trials);
}

// Over the trials that have it; the others keep all of theirs.
TEST(Parameters, AConditionalOneIsMeasuredWhereItIs) {
  ReportFacts study = made_study(60, 2);
  study.search.push_back({.name = "train.decay_ratio", .low = 0, .high = 1, .conditional = true});
  for (std::size_t i = 0; i < study.trials.size(); i += 2) {
    const double decay = static_cast<double>(i % 7) / 6;
    study.trials[i].params.emplace_back("train.decay_ratio", decay);
    for (CurvePoint& point : study.trials[i].metrics) point.value += 10 * decay;
  }
  analyze(study);
  EXPECT_GT(share_of(study, "train.decay_ratio"), 0.8);
  const auto trials_of = [&](const std::string& name) {
    return std::ranges::find(study.importance, name, &ImportanceFact::parameter)->trials;
  };
  EXPECT_LT(trials_of("train.decay_ratio"), trials_of("train.learning_rate"));
  EXPECT_EQ(trials_of("train.learning_rate"), compared_trials(study).size());
}

// What earlier versions wrote has no search.
TEST(Parameters, ARangeIsGuessedWhereNoneIsWritten) {
  ReportFacts study = made_study(40);
  study.search.clear();
  const auto search = searched(study);
  ASSERT_EQ(search.size(), 5u);
  EXPECT_TRUE(search[0].log);
  EXPECT_TRUE(search[1].integer) << "of ranks it is not known that they are choices";
  EXPECT_EQ(search[2].choices.size(), 3u);
  analyze(study);
  EXPECT_EQ(study.importance[0].parameter, "train.learning_rate");
}

// A population's parameters are those of the step, not of the end.
TEST(Parameters, OfAPopulationAreThoseOfTheStep) {
  TrialFacts trial{.params = {{"rate", 4.0}, {"decay", 0.5}}};
  trial.lineage = {{.step = 10, .copy_of = 3, .params = {{"rate", 2.0}, {"decay", 0.5}}},
                   {.step = 20, .copy_of = {}, .params = {{"rate", 4.0}}}};
  const auto rate = [&](std::int64_t step) -> double {
    const auto params = params_at(trial, step);
    return params ? as_number(*find_param(*params, "rate")) : -1;
  };
  EXPECT_EQ(rate(21), 4) << "the first step with it";
  EXPECT_EQ(rate(20), 2) << "the change came after it";
  EXPECT_EQ(rate(11), 2);
  EXPECT_EQ(rate(10), -1) << "an earlier version did not write down what it began with";
  trial.first = {{"rate", 1.0}, {"decay", 0.5}};
  EXPECT_EQ(rate(10), 1);
  trial.lineage.erase(trial.lineage.begin());
  EXPECT_EQ(rate(20), 1) << "the first event a change, not a copy";
  trial.lineage.pop_back();
  EXPECT_EQ(rate(30), 4) << "its own at the end";
}

TEST(Correlation, IsSpearmans) {
  EXPECT_NEAR(spearman({1, 2, 3, 4}, {10, 20, 30, 400}), 1, 1e-12);
  EXPECT_NEAR(spearman({1, 2, 3, 4}, {4, 3, 2, 1}), -1, 1e-12);
  // scipy.stats.spearmanr([1, 2, 2, 4, 5], [2, 1, 3, 3, 9]) = 0.7631578947368421
  EXPECT_NEAR(spearman({1, 2, 2, 4, 5}, {2, 1, 3, 3, 9}), 0.7631578947368421, 1e-12);
  EXPECT_EQ(spearman({1, 1, 1}, {1, 2, 3}), 0);
}

// The loss that rungs compare falls where the metric grows: they agree, though one is minimised and one maximised.
TEST(Correlation, OfRungsAndEndsIsOneWhereBothFindTheSameTrialsGood) {
  ReportFacts study;
  study.metric = "exact_match";
  study.direction = Direction::maximize;
  study.rung_metric = "valid_loss";
  study.full_steps = 30;
  for (std::int64_t id = 0; id < 6; ++id) {
    const auto goodness = static_cast<double>(id);
    study.trials.push_back({.id = id});
    study.trials.back().compared = {{3, goodness}, {10, 5 - goodness}, {30, 5 - goodness}};
    study.trials.back().metrics = {{30, goodness / 10}};
  }
  const auto agreement = agreement_at_rungs(study);
  ASSERT_TRUE(agreement);
  EXPECT_EQ(agreement->early, 10) << "the highest rung says most";
  EXPECT_EQ(agreement->trials, 6u);
  EXPECT_NEAR(agreement->spearman, 1, 1e-12);
  study.trials.resize(4);
  EXPECT_FALSE(agreement_at_rungs(study)) << "four trials say nothing";
}

TEST(Correlation, ComparesTrialsThatReachedBothSteps) {
  std::vector<TrialFacts> trials;
  for (std::int64_t id = 0; id < 8; ++id) {
    const auto value = static_cast<double>(id);
    trials.push_back({.id = id});
    trials.back().metrics = {{10, value}};
    if (id < 5) trials.back().metrics.push_back({50, -value});
    if (id < 3) trials.back().metrics.push_back({90, value});
  }
  const auto found = budget_correlations(trials);
  ASSERT_EQ(found.size(), 1u) << "three trials at step 90 say nothing";
  EXPECT_EQ(found[0].early, 10);
  EXPECT_EQ(found[0].late, 50);
  EXPECT_EQ(found[0].trials, 5u);
  EXPECT_NEAR(found[0].spearman, -1, 1e-12);
}

TEST(Correlation, OfManyStepsSomeStand) {
  std::vector<TrialFacts> trials;
  for (std::int64_t id = 0; id < 6; ++id) {
    trials.push_back({.id = id});
    for (std::int64_t step = 1; step <= 200; ++step) trials.back().metrics.push_back({step, static_cast<double>(id)});
  }
  const auto found = budget_correlations(trials);
  EXPECT_EQ(found.size(), 28u);
  EXPECT_EQ(found.front().early, 1);
  EXPECT_EQ(found.back().late, 200);
}

TEST(Lineage, TheWayOfTheBestWeightsGoesThroughDonors) {
  ReportFacts study;
  for (std::int64_t id = 0; id < 3; ++id) study.trials.push_back({.id = id, .step = 100, .steps = 100});
  study.trials[2].lineage = {{.step = 60, .copy_of = 1, .params = {}}};
  study.trials[1].lineage = {{.step = 30, .copy_of = 0, .params = {}}, {.step = 80, .copy_of = 2, .params = {}}};
  study.best = 2;
  const auto way = ancestry(study);
  ASSERT_EQ(way.size(), 3u);
  EXPECT_EQ(way[0].trial, 0u);
  EXPECT_EQ(way[0].last, 30);
  EXPECT_EQ(way[1].trial, 1u);
  EXPECT_EQ(way[1].first, 30);
  EXPECT_EQ(way[1].last, 60) << "what 1 took later is no ancestor";
  EXPECT_EQ(way[2].trial, 2u);
  EXPECT_EQ(way[2].last, 100);
  study.trials[0].lineage = {{.step = 10, .copy_of = 77, .params = {}}};
  EXPECT_EQ(ancestry(study).size(), 3u) << "a donor that there is not ends the way";
}

}  // namespace
}  // namespace finetune::testing
