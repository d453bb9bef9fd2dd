// What a round needs of the host: arrays of a pass, padding to few shapes, plans made ahead on another thread, the
// counter of captures.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/random.h"
#include "engine/graph_cache.h"
#include "engine/round_plan.h"

namespace finetune::testing {
namespace {

// Which examples they are.
std::vector<std::int64_t> lines_of(const Batch& batch) {
  std::vector<std::int64_t> lines;
  for (const ExampleView& example : batch.examples) lines.push_back(example.line);
  return lines;
}

std::vector<Example> examples(std::size_t count, std::int64_t longest) {
  std::vector<Example> list(count);
  Random random(3, Purpose::test);
  for (Example& example : list) {
    example.line = &example - list.data() + 1;
    const auto length = 2 + random.below(static_cast<std::uint64_t>(longest - 1));
    for (std::uint64_t t = 0; t < length; ++t) {
      example.ids.push_back(static_cast<std::int32_t>(random.below(50)));
      example.loss.push_back(t > 0 && (t + 1 == length || random.below(2) > 0) ? 1 : 0);
    }
  }
  return list;
}

PackTrial trial(std::int64_t slot, std::int64_t step, std::int64_t batch_size) {
  return {.slot = slot,
          .rank = 16 * (slot + 1),
          .targets = ProjectionSet::all(),
          .step = step,
          .batch_size = batch_size,
          .order_seed = static_cast<std::uint64_t>(slot)};
}

std::vector<PackTrial> round(std::int64_t step) {
  return {trial(2, step, 3), trial(0, step + 4, 5), trial(1, step, 1)};
}

void expect_same_bytes(const RoundPlan& a, const RoundPlan& b) {
  ASSERT_EQ(a.passes.size(), b.passes.size());
  for (std::size_t i = 0; i < a.passes.size(); ++i) {
    const PackData &x = a.passes[i].data, &y = b.passes[i].data;
    EXPECT_EQ(x.ids, y.ids);
    EXPECT_EQ(x.positions, y.positions);
    EXPECT_EQ(x.bounds, y.bounds);
    EXPECT_EQ(x.loss_rows, y.loss_rows);
    EXPECT_EQ(x.targets, y.targets);
    EXPECT_EQ(x.scales, y.scales);
    EXPECT_EQ(x.rows, y.rows);
    ASSERT_EQ(x.groups.size(), y.groups.size());
    for (std::size_t g = 0; g < x.groups.size(); ++g) {
      EXPECT_EQ(x.groups[g].begin, y.groups[g].begin);
      EXPECT_EQ(x.groups[g].end, y.groups[g].end);
      EXPECT_EQ(x.groups[g].slot, y.groups[g].slot);
      EXPECT_EQ(x.groups[g].rank, y.groups[g].rank);
      EXPECT_EQ(x.groups[g].step, y.groups[g].step);
      EXPECT_EQ(x.groups[g].token_base, y.groups[g].token_base);
    }
  }
  ASSERT_EQ(a.batches.size(), b.batches.size());
  for (std::size_t i = 0; i < a.batches.size(); ++i) {
    EXPECT_EQ(lines_of(a.batches[i]), lines_of(b.batches[i]));
    EXPECT_EQ(a.batches[i].tokens, b.batches[i].tokens);
    EXPECT_EQ(a.batches[i].loss_tokens, b.batches[i].loss_tokens);
  }
}

// NEFTune's noise (Jain et al., 2023): within alpha / sqrt(tokens x width) of each example, a trial's own whoever is in
// the pass, none for a trial without, and of another step another.
TEST(Noise, IsOfATrialItsStepAndItsExamples) {
  const std::vector<Example> data = examples(9, 12);
  const PackModel model{.width = 6};
  const auto plan_of = [&](const std::vector<PackTrial>& trials) {
    return RoundPlanner(data, {.tokens_per_pass = 1000, .fewest_rows = 16, .model = model}).take(trials);
  };
  std::vector<PackTrial> trials = round(3);
  trials[1].neftune = 5;
  const RoundPlan together = plan_of(trials), alone = plan_of({trials[1]});
  ASSERT_EQ(together.passes.size(), 1u);
  const PackData &all = together.passes[0].data, &own = alone.passes[0].data;
  ASSERT_EQ(std::ssize(all.noise), std::ssize(all.ids) * model.width);
  const auto of_group = [&](const PackData& data, std::size_t group) {
    const auto begin = data.noise.begin() + data.groups[group].begin * model.width;
    return std::vector<float>(begin, begin + (data.groups[group].end - data.groups[group].begin) * model.width);
  };
  EXPECT_EQ(of_group(all, 1), of_group(own, 0));
  for (const std::size_t other : {0u, 2u})
    for (const float value : of_group(all, other)) EXPECT_EQ(value, 0);
  double sum = 0, largest = 0;
  for (std::size_t s = 0; s + 1 < own.bounds.size() && own.bounds[s] < own.groups[0].end; ++s) {
    const double size = 5 / std::sqrt(static_cast<double>((own.bounds[s + 1] - own.bounds[s]) * model.width));
    for (std::int64_t i = own.bounds[s] * model.width; i < own.bounds[s + 1] * model.width; ++i) {
      const double share = static_cast<double>(own.noise[static_cast<std::size_t>(i)]) / size;
      EXPECT_LE(std::abs(share), 1);
      sum += share;
      largest = std::max(largest, std::abs(share));
    }
  }
  const double count = static_cast<double>(of_group(own, 0).size());
  EXPECT_GT(largest, 0.9);                                           // of some hundred uniform numbers
  EXPECT_LT(std::abs(sum / count), 3 * std::sqrt(1 / (3 * count)));  // three standard errors of their mean
  PackTrial later = trials[1];
  ++later.step;
  const RoundPlan next = plan_of({later});
  EXPECT_NE(of_group(own, 0), of_group(next.passes[0].data, 0));
  EXPECT_TRUE(plan_of({trials[0]}).passes[0].data.noise.empty());
}

// Trials of one seed and batch size that differ in their shares of two parts.
TEST(Rounds, TrialsOfOtherSharesHaveOtherBatches) {
  const auto data = examples(40, 9);
  RoundPlanner planner(data, {.parts = {10, 30}});
  std::vector<PackTrial> trials(3, trial(0, 7, 8));
  trials[1].shares = {0.5, 0.5};
  trials[2].shares = {0.25, 0.75};
  const RoundPlan plan = planner.take(trials);
  const auto of_first = [&](std::size_t t) {
    return std::ranges::count_if(lines_of(plan.batches[t]), [](std::int64_t line) { return line <= 10; });
  };
  EXPECT_EQ(of_first(1), 4);
  EXPECT_EQ(of_first(2), 2);
  RoundPlanner whole(data, {});
  EXPECT_EQ(lines_of(plan.batches[0]), lines_of(whole.take({trial(0, 7, 8)}).batches[0]))
      << "without shares: all alike";
  RoundPlanner alone(data, {.parts = {10, 30}});
  EXPECT_EQ(lines_of(plan.batches[2]), lines_of(alone.take({trials[2]}).batches[0])) << "whoever is beside it";
}

TEST(Rounds, APlanMadeAheadHasTheSameBytes) {
  const auto data = examples(23, 9);
  for (const bool buckets : {false, true}) {
    const RoundOptions options{.tokens_per_pass = 40, .buckets = buckets, .groups = 3};
    RoundPlanner ahead(data, options), now(data, options);
    for (std::int64_t step = 1; step <= 20; ++step) {
      expect_same_bytes(ahead.take(round(step)), now.take(round(step)));
      ahead.prepare(round(step + 1));
    }
    EXPECT_EQ(ahead.prepared_plans_used(), 19);
  }
}

TEST(Rounds, APlanMadeForOtherTrialsIsNotUsed) {
  const auto data = examples(23, 9);
  RoundPlanner planner(data, {.tokens_per_pass = 40});
  const auto expect_fresh = [&](const std::vector<PackTrial>& wanted, std::int64_t tokens_per_pass) {
    RoundPlanner now(data, {.tokens_per_pass = tokens_per_pass});
    expect_same_bytes(planner.take(wanted), now.take(wanted));
    EXPECT_EQ(planner.prepared_plans_used(), 0);
  };
  planner.prepare(round(2));
  auto pruned = round(2);
  pruned.erase(pruned.begin() + 1);
  expect_fresh(pruned, 40);
  planner.prepare(round(2));
  auto changed = round(2);
  changed[0].dropout = 0.5;
  expect_fresh(changed, 40);
  planner.prepare(round(2));
  planner.set_tokens_per_pass(20);  // as after an out-of-memory
  expect_fresh(round(2), 20);
}

TEST(Rounds, TrialsThatCannotShareAPassTakeTurns) {
  const auto data = examples(23, 9);
  RoundPlanner planner(data, {.tokens_per_pass = 1000, .together = false});
  const RoundPlan plan = planner.take(round(1));
  ASSERT_EQ(plan.passes.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(plan.passes[i].first_trial, i);
    EXPECT_EQ(plan.passes[i].data.groups.size(), 1u);
  }
}

TEST(Rounds, FewShapesHoldEveryPass) {
  constexpr std::int64_t kFull = 16384;
  const PackShape run{.segments = 256, .longest = 600};
  std::set<std::int64_t> tokens;
  for (std::int64_t n = 1; n <= kFull; n += 7) {
    for (const std::int64_t longest : {1, 37, 512}) {
      if (longest > n) continue;
      const PackShape exact{n, n / 3, (n + longest - 1) / longest, longest};
      const PackShape bucket = bucket_of(exact, kFull, run);
      tokens.insert(bucket.tokens);
      EXPECT_GE(bucket.tokens, exact.tokens);
      EXPECT_LT(bucket.tokens, exact.tokens + std::clamp<std::int64_t>(exact.tokens / 4 + 1, 32, 512));
      EXPECT_LE(bucket.tokens, kFull) << "never above a full pass";
      EXPECT_GE(bucket.loss_rows, exact.loss_rows);
      EXPECT_LE(bucket.loss_rows, exact.loss_rows + bucket.tokens / 16);
      EXPECT_GE(bucket.segments * exact.longest, bucket.tokens);
      EXPECT_EQ(bucket.longest, 1024);
      EXPECT_TRUE(longest < 512 || bucket.segments == 256) << "the run's, not the pass's";
      EXPECT_EQ(bucket_of(bucket, kFull, run).tokens, bucket.tokens);
    }
  }
  EXPECT_EQ(tokens.size(), 48u) << "multiples of 32 up to 256, four to an octave up to 4096, then multiples of 512";
}

TEST(Rounds, PaddingLeavesTheTrialsRowsAlone) {
  const auto data = examples(23, 9);
  RoundPlanner plain(data, {.tokens_per_pass = 64}),
      padding(data, {.tokens_per_pass = 64, .buckets = true, .groups = 5});
  const RoundPlan exact = plain.take(round(4)), padded = padding.take(round(4));
  ASSERT_EQ(exact.passes.size(), padded.passes.size());
  bool longer = false;
  PackShape largest{.longest = Examples(data).longest()};
  for (std::size_t i = 0; i < exact.passes.size(); ++i) {
    const PackData &x = exact.passes[i].data, &y = padded.passes[i].data;
    const auto starts_with = [](const auto& all, const auto& first) {
      return all.size() >= first.size() && std::equal(first.begin(), first.end(), all.begin());
    };
    EXPECT_TRUE(starts_with(y.ids, x.ids));
    EXPECT_TRUE(starts_with(y.positions, x.positions));
    EXPECT_TRUE(starts_with(y.bounds, x.bounds));
    EXPECT_TRUE(starts_with(y.loss_rows, x.loss_rows));
    EXPECT_TRUE(starts_with(y.scales, x.scales));
    EXPECT_EQ(x.rows, y.rows);
    largest = bucket_of(x.shape(), 64, largest);
    EXPECT_EQ(y.shape(), largest);
    EXPECT_EQ(y.bounds.back(), static_cast<std::int32_t>(y.ids.size()));
    for (std::size_t b = 1; b < y.bounds.size(); ++b) EXPECT_LE(y.bounds[b] - y.bounds[b - 1], y.longest);
    for (std::size_t r = x.scales.size(); r < y.scales.size(); ++r) EXPECT_EQ(y.scales[r], 0);
    for (std::size_t t = x.ids.size(); t < y.ids.size(); ++t) EXPECT_EQ(y.positions[t], 0);
    ASSERT_EQ(y.groups.size(), 5u);
    for (std::size_t g = x.groups.size(); g < 5; ++g) EXPECT_EQ(y.groups[g].projections, 0u);
    longer = longer || y.ids.size() > x.ids.size();
  }
  EXPECT_TRUE(longer) << "nothing was padded";
}

TEST(GraphCache, CapturesOncePerKey) {
  GraphCache<CaptureKey<PackShape>, int> cache;
  int made = 0;
  const auto get = [&](std::int64_t tokens, std::int64_t model) {
    return cache.get({{tokens, 1, 1, 1}, model}, [&] { return std::make_unique<int>(++made); });
  };
  EXPECT_EQ(get(8, 0), 1);
  EXPECT_EQ(get(16, 0), 2);
  EXPECT_EQ(get(8, 1), 3);
  EXPECT_EQ(get(8, 0), 1);
  EXPECT_EQ(cache.captures(), 3);
  cache.clear();
  EXPECT_EQ(get(8, 0), 4);
  EXPECT_EQ(cache.captures(), 4);
  EXPECT_EQ(cache.size(), 1u);
}

TEST(GraphCache, KeepsThoseUsedLast) {
  GraphCache<CaptureKey<PackShape>, int> cache;
  const auto get = [&](std::int64_t tokens) {
    cache.get({{tokens, 1, 1, 1}, 0}, [] { return std::make_unique<int>(0); });
    return cache.captures();
  };
  for (std::int64_t tokens = 1; tokens <= static_cast<std::int64_t>(kMostGraphs); ++tokens) get(tokens);
  EXPECT_EQ(get(1), 32);
  EXPECT_EQ(get(100), 33);  // in the place of 2, not of 1
  EXPECT_EQ(cache.size(), kMostGraphs);
  EXPECT_EQ(get(1), 33);
  EXPECT_EQ(get(2), 34);
}

}  // namespace
}  // namespace finetune::testing
