#include <gtest/gtest.h>

#include <vector>

#include "engine/placement.h"

namespace finetune::testing {
namespace {

const std::vector<std::int64_t> kFree{4, 4, 4};

TEST(Placement, ANewTrialGoesWhereLeastIsToDo) {
  const std::vector<PlacedTrial> trials{{0, 8}, {1, 2}, {1, 2}, {2, 16}};
  EXPECT_EQ(emptiest_lane(trials, kFree), 1u) << "two small ones are less than a large one";
  EXPECT_EQ(emptiest_lane(trials, std::vector<std::int64_t>{1, 0, 1}), 0u);
  EXPECT_EQ(emptiest_lane({}, kFree), 0u);
  EXPECT_EQ(emptiest_lane(trials, std::vector<std::int64_t>{0, 0, 0}), std::nullopt);
}

TEST(Placement, TheCostliestTrialThatShortensTheRoundMoves) {
  // 22 and 3: 16 would make the other lane the longest but still shorten the round, from 22 to 19.
  const std::vector<PlacedTrial> trials{{0, 4}, {0, 16}, {0, 2}, {1, 3}, {2, 5}};
  const auto move = next_move(trials, kFree);
  ASSERT_TRUE(move);
  EXPECT_EQ(move->trial, 1u);
  EXPECT_EQ(move->to, 1u);
  EXPECT_FALSE(next_move(trials, std::vector<std::int64_t>{4, 0, 4})) << "no slot is free there";
  EXPECT_FALSE(next_move(std::vector<PlacedTrial>{{0, 16}, {1, 1}, {2, 1}}, kFree)) << "a round takes what it takes";
}

TEST(Placement, EqualTrialsMoveWhileAnotherLaneHasTwoFewer) {
  const std::vector<PlacedTrial> three{{0, 1}, {0, 1}, {0, 1}, {1, 1}, {2, 2}};
  EXPECT_EQ(next_move(three, kFree)->trial, 2u) << "the last of them";
  EXPECT_FALSE(next_move(std::vector<PlacedTrial>{{0, 1}, {0, 1}, {1, 1}, {2, 1}}, kFree));
}

// Every move shortens the longest lane or leaves fewer that are as long, so there is an end.
TEST(Placement, MovesEnd) {
  std::vector<PlacedTrial> trials;
  for (std::size_t i = 0; i < 40; ++i) trials.push_back({i % 2, static_cast<double>(1 + i * 7 % 13)});
  int moves = 0;
  while (const auto move = next_move(trials, std::vector<std::int64_t>(5, 40))) {
    trials[move->trial].lane = move->to;
    ASSERT_LT(++moves, 200);
  }
  EXPECT_GT(moves, 10);
}

}  // namespace
}  // namespace finetune::testing
