// Which past trials inform a search, what is said of the others, and as what a sampler sees them.
#include <gtest/gtest.h>

#include <limits>

#include "models/model_files.h"
#include "study/warm_start.h"

namespace finetune::testing {
namespace {

const std::string kFloat = "x", kRank = "train.lora.rank";

WarmStartFacts facts() {
  return {.space = {{{.name = kFloat, .low = 0, .high = 1},
                     {.name = kRank, .choices = {std::int64_t{8}, std::int64_t{16}}},
                     {.name = "only16", .low = 1, .high = 4, .integer = true, .when = {{kRank, {std::int64_t{16}}}}}}},
          .metric = "valid_loss",
          .model = "/models/a"};
}

PastTrial trial(double x, std::int64_t rank, std::optional<double> value) {
  return {.state = PastState::complete, .value = value, .params = {{kRank, rank}, {kFloat, x}}};
}

PastStudy study(std::vector<PastTrial> trials) {
  return {.source = "a.db", .direction = Direction::minimize, .metric = "valid_loss", .trials = std::move(trials)};
}

TEST(WarmStart, WhatIsLeftOutIsCountedInOneLine) {
  PastTrial running = trial(0.5, 8, {}), failed = trial(0.5, 8, {}), pruned = trial(0.75, 8, {});
  running.state = PastState::unfinished;
  failed.state = PastState::failed;
  pruned.state = PastState::pruned;
  PastTrial extra = trial(0.25, 8, 1.0), without = trial(0.25, 8, 1.0);
  extra.params.emplace_back("foo", 3.0);
  without.params.erase(without.params.begin());
  const WarmStudy warm =
      warm_study(study({trial(0.5, 8, 1.0), running, running, failed, pruned, extra, without, trial(0.5, 32, 1.0),
                        trial(2.0, 8, 1.0), trial(0.5, 16, 1.0), trial(0.5, 8, {})}),
                 facts());
  EXPECT_EQ(warm.lines,
            (std::vector<std::string>{
                "warm start from a.db: 3 of 11 trials (1 failed, 2 not finished, 1 with train.lora.rank outside the "
                "search, 1 with x outside the search, 1 without a finite value, 1 without only16, 1 without "
                "train.lora.rank); not searched here and ignored: foo"}));
  ASSERT_EQ(warm.trials.size(), 3u);
  EXPECT_EQ(warm.trials[0].params, (Params{{kFloat, 0.5}, {kRank, std::int64_t{8}}})) << "in the space's order";
}

TEST(WarmStart, AParameterWithoutItsConditionIsNotHeldAgainstATrial) {
  PastTrial with = trial(0.5, 8, 1.0);
  with.params.emplace_back("only16", std::int64_t{99});
  EXPECT_EQ(warm_study(study({with}), facts()).trials[0].params, (Params{{kFloat, 0.5}, {kRank, std::int64_t{8}}}));
}

TEST(WarmStart, ValuesTakeOurType) {
  WarmStartFacts whole = facts();
  whole.space.parameters = {{.name = kFloat, .low = 0, .high = 8, .integer = true}};
  PastStudy past = study({trial(8.0, 8, 1.0), trial(7.5, 8, 1.0)});
  const WarmStudy warm = warm_study(past, whole);
  ASSERT_EQ(warm.trials.size(), 1u);
  EXPECT_EQ(warm.trials[0].params, (Params{{kFloat, std::int64_t{8}}}));
}

TEST(WarmStart, AnotherDirectionAndAUselessFileAreRefused) {
  PastStudy past = study({trial(0.5, 8, 1.0)});
  past.direction = Direction::maximize;
  EXPECT_EQ(error_of([&] { warm_study(past, facts()); }), "a.db: its study is to maximize, this one is to minimize");
  past.direction.reset();
  EXPECT_EQ(error_of([&] { warm_study(past, facts()); }), "a.db: its study has no direction, this one is to minimize");
  EXPECT_EQ(error_of([&] { warm_study(study({trial(0.5, 32, 1.0)}), facts()); }),
            "a.db: tune.warm_start can use none of its 1 trial (1 with train.lora.rank outside the search)");
  EXPECT_EQ(error_of([&] { warm_study(study({}), facts()); }), "a.db: tune.warm_start can use none of its 0 trials");
}

TEST(WarmStart, AnotherMetricOrModelIsSaid) {
  PastStudy past = study({trial(0.5, 8, 1.0)});
  past.metric = "perplexity";
  past.model = "/models/b";
  EXPECT_EQ(warm_study(past, facts()).lines,
            (std::vector<std::string>{"warm start from a.db: 1 of 1 trial",
                                      "a.db has the metric perplexity: its values are taken for valid_loss",
                                      "a.db tuned another model, /models/b"}));
  past.metric = "";
  past.model = "/models/a";
  EXPECT_EQ(warm_study(past, facts()).lines[1], "a.db names no metric: its values are taken for valid_loss");
  EXPECT_EQ(warm_study(past, facts()).lines.size(), 2u);
}

TEST(WarmStart, ASamplerSeesTrialsOfOurBudgetBeforeItsOwn) {
  PastTrial complete = trial(0.5, 8, 1.0), pruned = trial(0.25, 8, {}), plain = trial(0.75, 8, 2.0);
  complete.curve = {{10, 3.0}, {50, 1.5}};
  pruned.state = PastState::pruned;
  pruned.curve = {{10, 4.0}};
  const std::vector<WarmStudy> warm{warm_study(study({complete, pruned}), facts()),
                                    warm_study(study({plain}), facts())};
  using Values = std::vector<std::pair<std::int64_t, double>>;
  const auto records = past_records(warm, Direction::maximize, 200);
  ASSERT_EQ(records.size(), 3u);
  for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(records[static_cast<std::size_t>(i)].id.value, i - 3);
  EXPECT_EQ(records[0].values, (Values{{40, -3.0}, {200, -1.0}})) << "its value, not its last one";
  EXPECT_EQ(records[0].state, TrialState::completed);
  EXPECT_EQ(records[1].values, (Values{{40, -4.0}}));
  EXPECT_EQ(records[1].state, TrialState::stopped);
  EXPECT_EQ(records[2].values, (Values{{200, -2.0}}));
  EXPECT_EQ(past_records(warm, Direction::minimize, 1)[1].values, Values{}) << "nothing lies before the only step";
}

TEST(WarmStart, StepsOfAnySizeAreScaled) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max(),
                         kLeast = std::numeric_limits<std::int64_t>::min();
  PastTrial complete = trial(0.5, 8, 1.0), pruned = trial(0.25, 8, {});
  complete.curve = {{kLeast, 1.0}, {kMost, 1.0}};
  pruned.state = PastState::pruned;
  pruned.curve = {{kLeast, 1.0}, {-1, 1.0}, {kMost - 1, 2.0}};
  for (const auto& trials : {std::vector{complete, pruned}, std::vector{pruned}}) {
    const auto records = past_records(std::vector{warm_study(study(trials), facts())}, Direction::minimize, 10);
    for (const auto& [step, value] : records.back().values) {
      EXPECT_GE(step, 1);
      EXPECT_LE(step, 9);
    }
  }
}

}  // namespace
}  // namespace finetune::testing
