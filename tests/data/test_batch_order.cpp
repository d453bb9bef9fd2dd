// Which examples a step has: epochs, shuffling, and parts drawn by their shares.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "data/batch_order.h"

namespace finetune::testing {
namespace {

using Indices = std::vector<std::int64_t>;

Indices drawn(BatchOrder& order, std::int64_t steps) {
  Indices all;
  for (std::int64_t step = 1; step <= steps; ++step) {
    for (const auto index : order.batch(step)) all.push_back(index);
  }
  return all;
}

TEST(BatchOrder, RunsOverTheEndOfAnEpoch) {
  BatchOrder order(5, 3, false, 0);
  using Batch = std::vector<std::int64_t>;
  EXPECT_EQ(order.batch(1), (Batch{0, 1, 2}));
  EXPECT_EQ(order.batch(2), (Batch{3, 4, 0}));
  EXPECT_EQ(order.batch(1), (Batch{0, 1, 2}));
  EXPECT_EQ(BatchOrder(2, 5, false, 0).batch(1), (Batch{0, 1, 0, 1, 0}));
}

TEST(BatchOrder, ShufflesEachEpochByItsSeedAndHoldsEachExampleOnce) {
  BatchOrder order(10, 4, true, 3), again(10, 4, true, 3), other(10, 4, true, 4);
  std::vector<std::int64_t> seen, different;
  for (std::int64_t step = 1; step <= 5; ++step) {
    for (const auto index : order.batch(step)) seen.push_back(index);
    for (const auto index : other.batch(step)) different.push_back(index);
  }
  EXPECT_EQ(again.batch(4), std::vector<std::int64_t>(seen.begin() + 12, seen.begin() + 16))
      << "a pure function of the step";
  EXPECT_EQ(std::set<std::int64_t>(seen.begin(), seen.begin() + 10).size(), 10u);
  EXPECT_EQ(std::set<std::int64_t>(seen.begin() + 10, seen.end()).size(), 10u);
  EXPECT_FALSE(std::equal(seen.begin(), seen.begin() + 10, seen.begin() + 10));
  EXPECT_NE(seen, different);
}

TEST(Mixture, DrawsEachPartByItsShareAllAlong) {
  const std::vector<double> shares{0.5, 0.2, 0.3};
  BatchOrder order({100, 7, 1000}, shares, 8, true, 1);
  std::vector<double> count(3, 0);
  double draws = 0;
  for (const auto index : drawn(order, 200)) {
    ++draws;
    ++count[index < 100 ? 0 : index < 107 ? 1 : 2];
    // A draw is of the part that is furthest behind, so of three parts none can be a whole example off.
    for (std::size_t i = 0; i < 3; ++i) ASSERT_LT(std::abs(count[i] - shares[i] * draws), 1) << i << " of " << draws;
  }
}

TEST(Mixture, GoesThroughEachPartInEpochsOfItsOwn) {
  BatchOrder order({3, 50}, {0.5, 0.5}, 4, true, 9);
  Indices small;
  std::set<std::int64_t> large;
  for (const auto index : drawn(order, 25)) {
    if (index < 3)
      small.push_back(index);
    else
      large.insert(index);
  }
  ASSERT_EQ(small.size(), 50u);
  for (auto epoch = small.begin(); small.end() - epoch >= 3; epoch += 3)
    EXPECT_EQ(std::set<std::int64_t>(epoch, epoch + 3), (std::set<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(large.size(), 50u) << "once each, in as many draws";
}

TEST(Mixture, IsAFunctionOfTheStepWhateverIsAskedInBetween) {
  BatchOrder order({10, 20}, {0.3, 0.7}, 5, true, 2);
  const Indices all = drawn(order, 40);
  for (const std::int64_t step : {40, 1, 17, 16, 39, 2}) {
    const auto begin = all.begin() + (step - 1) * 5;
    EXPECT_EQ(order.batch(step), Indices(begin, begin + 5)) << step;
  }
}

TEST(Mixture, FollowsSeedAndShares) {
  BatchOrder one({10, 20}, {0.3, 0.7}, 5, true, 2), seed({10, 20}, {0.3, 0.7}, 5, true, 3),
      shares({10, 20}, {0.4, 0.6}, 5, true, 2), plain({10, 20}, {0.3, 0.7}, 5, false, 2);
  const Indices all = drawn(one, 10);
  EXPECT_NE(all, drawn(seed, 10));
  EXPECT_NE(all, drawn(shares, 10));
  EXPECT_EQ(drawn(plain, 1), (Indices{10, 0, 11, 12, 1})) << "in the order of the files";
}

TEST(Mixture, WithoutSharesIsOnePartOfAll) {
  BatchOrder parts({10, 20}, {}, 4, true, 5), all(30, 4, true, 5);
  EXPECT_EQ(drawn(parts, 20), drawn(all, 20));
}

}  // namespace
}  // namespace finetune::testing
