// Samplers that were told of trials of earlier studies: they propose near what was good there, count them as
// experience, and are what they were where there are none.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tuners/method.h"
#include "tuners/registry.h"
#include "tuners/samplers/observations.h"

namespace finetune::testing {
namespace {

const Params kOptimum{{"x", 0.2}, {"y", 0.7}};

SearchSpace square() {
  return {{{.name = "x", .low = 0, .high = 1}, {.name = "y", .low = 0, .high = 1}}};
}

double distance(const Params& params) {
  double sum = 0;
  for (const auto& [name, value] : kOptimum)
    sum += std::pow(as_number(*find_param(params, name)) - as_number(value), 2);
  return std::sqrt(sum);
}

// A grid of n x n complete trials at step 100 whose values are their distances from the optimum.
std::vector<TrialRecord> grid(std::int64_t n) {
  std::vector<TrialRecord> past;
  for (std::int64_t i = 0; i < n * n; ++i) {
    const auto at = [&](std::int64_t k) { return (static_cast<double>(k) + 0.5) / static_cast<double>(n); };
    const Params params{{"x", at(i % n)}, {"y", at(i / n)}};
    past.push_back({.id = {i - n * n},
                    .params = params,
                    .state = TrialState::completed,
                    .values = {{100, distance(params)}},
                    .step = 100});
  }
  return past;
}

std::vector<Params> first_proposals(const std::string& name, const std::vector<TrialRecord>& past,
                                    std::int64_t count = 8) {
  SamplerRequest request{{}, square(), 3};
  request.past = past;
  Tuner tuner({.trials = 100, .max_steps = 100}, make_sampler(name, request),
              make_scheduler("none", {{}, square(), {}}));
  std::vector<Params> proposals;
  std::vector<Action> actions;
  for (const NewTrial& trial : tuner.ask(count, actions)) proposals.push_back(trial.params);
  return proposals;
}

double mean_distance(const std::vector<Params>& proposals) {
  double sum = 0;
  for (const Params& params : proposals) sum += distance(params);
  return sum / static_cast<double>(proposals.size());
}

class Learning : public ::testing::TestWithParam<std::string> {};

TEST_P(Learning, ProposesNearWhatWasGoodFromItsFirstTrial) {
  if (GetParam() == "priorband") {  // half of its proposals are uniform whatever was good
    EXPECT_LT(mean_distance(first_proposals(GetParam(), grid(6), 90)) + 0.05,
              mean_distance(first_proposals(GetParam(), {}, 90)));
    return;
  }
  EXPECT_LT(mean_distance(first_proposals(GetParam(), grid(6))), 0.25);
  EXPECT_GT(mean_distance(first_proposals(GetParam(), {})), 0.3);
}

TEST_P(Learning, SaysTheSameAgainAndGoesOnFromASavedStateWithoutTheFiles) {
  EXPECT_EQ(first_proposals(GetParam(), grid(5)), first_proposals(GetParam(), grid(5)));
  SamplerRequest told{{}, square(), 3}, other{{}, square(), 3};
  told.past = grid(5);
  other.past = grid(2);
  const auto make = [](const std::string& name, const SamplerRequest& request) {
    return Tuner({.trials = 100, .max_steps = 100}, make_sampler(name, request),
                 make_scheduler("none", {{}, square(), {}}));
  };
  Tuner first = make(GetParam(), told), second = make(GetParam(), other);
  std::vector<Action> actions;
  first.ask(3, actions);
  second.load(first.save());
  EXPECT_EQ(first.ask(1, actions)[0].params, second.ask(1, actions)[0].params);
  EXPECT_EQ(first.save(), second.save());
}

INSTANTIATE_TEST_SUITE_P(WarmStarted, Learning, ::testing::ValuesIn(learning_samplers()),
                         [](const auto& info) { return info.param; });

TEST(WarmStarted, OnlyTheSamplerSeesThem) {
  SamplerRequest request{{}, square(), 3};
  request.past = grid(6);
  Tuner tuner({.trials = 2, .max_steps = 100, .target = 0.5}, make_sampler("tpe", request),
              make_scheduler("none", {{}, square(), {}}));
  std::vector<Action> actions;
  EXPECT_EQ(tuner.ask(9, actions).size(), 2u) << "they use up no trial";
  EXPECT_EQ(tuner.best(), nullptr);
  EXPECT_EQ(tuner.ended_by(), "");
  EXPECT_EQ(tuner.trials().front().id.value, 0);
}

TEST(WarmStarted, WhoLearnsIsMarked) {
  EXPECT_EQ(learning_samplers(), (std::vector<std::string>{"tpe", "gp", "cmaes", "priorband"}));
  for (const SamplerKind& kind : samplers()) {
    if (kind.name != "grid") {
      EXPECT_EQ(first_proposals(kind.name, grid(6)) != first_proposals(kind.name, {}), kind.learns) << kind.name;
    }
  }
}

TEST(WarmStarted, ListedTrialsStillComeFirst) {
  SamplerRequest request{{}, square(), 3, {kOptimum}};
  request.past = grid(3);
  EXPECT_EQ(make_sampler("tpe", request)->suggest({0}, {}), kOptimum);
}

// A few complete trials of an earlier study cannot be compared with values at a step they did not stop at: they are not
// bad for that.
TEST(WarmStarted, WhoCamePastAStepWithoutAValueThereIsInNoList) {
  std::vector<TrialRecord> trials = grid(2);
  trials.push_back({.id = {-1}, .state = TrialState::stopped, .values = {{5, 1.0}}, .step = 5});
  for (std::int64_t id = 0; id < 6; ++id)
    trials.push_back({.id = {id}, .state = TrialState::stopped, .values = {{10, 1.0}}, .step = 10});
  const Observations seen = observe(trials, 10);
  EXPECT_EQ(seen.step, 10);
  EXPECT_EQ(seen.observed.size(), 6u);
  ASSERT_EQ(seen.stopped.size(), 1u);
  EXPECT_EQ(seen.stopped[0]->values.back().first, 5);
}

// Most trials of a study under a scheduler were stopped at its first rung.
TEST(WarmStarted, AGaussianProcessLearnsFromStoppedTrialsToo) {
  std::vector<TrialRecord> past = grid(6);
  for (TrialRecord& trial : past) trial.state = TrialState::stopped, trial.values[0].first = trial.step = 10;
  EXPECT_LT(mean_distance(first_proposals("gp", past)), 0.25);
}

// In a space of three values that were all tried before, the best of them is still worth a trial.
TEST(WarmStarted, AGaussianProcessTriesTheBestOfTheOldOnes) {
  const SearchSpace three{{{.name = "x", .low = 0, .high = 2, .integer = true}}};
  SamplerRequest request{{}, three, 3};
  for (std::int64_t i = 0; i < 12; ++i)
    request.past.push_back({.id = {i - 12},
                            .params = {{"x", i % 3}},
                            .state = TrialState::completed,
                            .values = {{1, std::abs(static_cast<double>(i % 3) - 1)}},
                            .step = 1});
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    request.seed = seed;
    EXPECT_EQ(make_sampler("gp", request)->suggest({0}, {}), (Params{{"x", std::int64_t{1}}}));
  }
}

// What a stranger's file may hold: one value far from all others.
TEST(WarmStarted, AValueOfAnySizeIsSurvived) {
  for (const std::string& name : learning_samplers()) {
    for (const double value : {1e308, -1e308}) {
      std::vector<TrialRecord> past = grid(4);
      past[3].values = {{100, value}};
      past[7].values = {{100, -value}};
      for (const Params& params : first_proposals(name, past, 3)) {
        for (const auto& entry : params) EXPECT_TRUE(std::isfinite(as_number(entry.second))) << name;
      }
    }
  }
}

TEST(WarmStarted, MethodAutoTakesAModel) {
  MethodFacts facts{.cells = 4, .trials = 8, .full_trials = 8, .side_by_side = 8, .steps = 100, .all_may_change = true};
  EXPECT_EQ(choose_method(facts).method.sampler, "grid");
  facts.past = 30;
  EXPECT_EQ(choose_method(facts).method.sampler, "gp");
  EXPECT_TRUE(choose_method(facts).why.starts_with("30 past trials, 8 trials in turns of 8"))
      << choose_method(facts).why;
  facts.past = 300;
  EXPECT_EQ(choose_method(facts).method.sampler, "tpe");
}

}  // namespace
}  // namespace finetune::testing
