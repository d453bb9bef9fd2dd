#include <gtest/gtest.h>

#include "engine/planner.h"
#include "engine/schedule.h"
#include "support/compare.h"

namespace finetune::testing {
namespace {

TEST(Planner, CutsABatchWhereTheNextSegmentWouldNotFit) {
  const std::vector<std::int64_t> lengths{4, 4, 3, 9, 20, 1};
  const auto chunks = cut_batch(7, lengths, 10);
  ASSERT_EQ(chunks.size(), 5u);
  const std::vector<std::vector<std::int64_t>> expected{
      {0, 2, 0, 8}, {2, 1, 8, 3}, {3, 1, 11, 9}, {4, 1, 20, 20}, {5, 1, 40, 1}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(chunks[i].trial, 7u);
    EXPECT_EQ(static_cast<std::int64_t>(chunks[i].first), expected[i][0]);
    EXPECT_EQ(static_cast<std::int64_t>(chunks[i].count), expected[i][1]);
    EXPECT_EQ(chunks[i].token_base, expected[i][2]);
    EXPECT_EQ(chunks[i].tokens, expected[i][3]);
  }
}

TEST(Planner, TakesEveryChunkOnceInItsTrialsOrderAndFillsPasses) {
  const std::vector<std::vector<std::int64_t>> lengths{{5, 5, 5}, {8}, {2, 2}, {}};
  const auto passes = plan_passes(lengths, 10);
  std::vector<std::size_t> segments(lengths.size(), 0);
  for (const auto& pass : passes) {
    std::int64_t tokens = 0;
    std::vector<int> seen(lengths.size(), 0);
    for (const auto& chunk : pass.chunks) {
      EXPECT_EQ(chunk.first, segments[chunk.trial]) << "in order";
      segments[chunk.trial] += chunk.count;
      tokens += chunk.tokens;
      EXPECT_EQ(++seen[chunk.trial], 1) << "one chunk of a trial in a pass";
    }
    EXPECT_EQ(tokens, pass.tokens);
    EXPECT_LE(tokens, 10);
  }
  for (std::size_t i = 0; i < lengths.size(); ++i) EXPECT_EQ(segments[i], lengths[i].size());
}

TEST(Planner, CutsDependOnTheTrialAlone) {
  const std::vector<std::int64_t> own{3, 9, 4, 6, 1, 12};
  const auto alone = plan_passes(std::vector<std::vector<std::int64_t>>{own}, 16),
             together = plan_passes(std::vector<std::vector<std::int64_t>>{{7, 7}, own, {2}}, 16);
  std::vector<std::size_t> a, b;
  for (const auto& pass : alone) a.push_back(pass.chunks[0].count);
  for (const auto& pass : together) {
    for (const auto& chunk : pass.chunks) {
      if (chunk.trial == 1) b.push_back(chunk.count);
    }
  }
  EXPECT_EQ(a, b);
}

// Expected factors from transformers 5.23 get_scheduler (linear, cosine, constant_with_warmup); wsd from the contract.
TEST(Schedule, MultipliersOfEverySchedule) {
  TrainConfig config;
  config.steps = 10;
  config.warmup_ratio = 0.15;  // ceil(1.5) = 2 steps
  const auto all = [&](const char* name) {
    config.schedule = choice_from<RateSchedule>("train.schedule", name);
    std::vector<double> factors;
    for (std::int64_t step = 1; step <= 10; ++step) factors.push_back(schedule_multiplier(config, step));
    return factors;
  };
  const auto same = [](const std::vector<double>& actual, const std::vector<double>& expected) {
    return all_near(std::span<const double>(actual), std::span<const double>(expected), {.absolute = 1e-12});
  };
  EXPECT_TRUE(same(all("linear"), {0, 0.5, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125}));
  EXPECT_TRUE(same(all("cosine"), {0, 0.5, 1, 0.96193976625564337, 0.85355339059327373, 0.69134171618254492, 0.5,
                                   0.30865828381745508, 0.14644660940672621, 0.038060233744356631}));
  EXPECT_TRUE(same(all("constant"), {0, 0.5, 1, 1, 1, 1, 1, 1, 1, 1}));
  config.decay_ratio = 0.3;
  EXPECT_TRUE(same(all("wsd"), {0, 0.5, 1, 1, 1, 1, 1, 1, 2.0 / 3, 1.0 / 3}));
}

}  // namespace
}  // namespace finetune::testing
