#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/placement.h"

namespace finetune::testing {
namespace {

std::vector<LaneRoom> room(const std::vector<std::int64_t>& free, const std::vector<double>& speeds = {}) {
  std::vector<LaneRoom> lanes;
  for (std::size_t i = 0; i < free.size(); ++i) lanes.push_back({free[i], speeds.empty() ? 1 : speeds[i]});
  return lanes;
}

const std::vector<LaneRoom> kFree = room({4, 4, 4});

TEST(Placement, ANewTrialGoesWhereLeastIsToDo) {
  const std::vector<PlacedTrial> trials{{0, 8}, {1, 2}, {1, 2}, {2, 16}};
  EXPECT_EQ(emptiest_lane(trials, kFree), 1u) << "two small ones are less than a large one";
  EXPECT_EQ(emptiest_lane(trials, room({1, 0, 1})), 0u);
  EXPECT_EQ(emptiest_lane({}, kFree), 0u);
  EXPECT_EQ(emptiest_lane(trials, room({0, 0, 0})), std::nullopt);
}

TEST(Placement, TheCostliestTrialThatShortensTheRoundMoves) {
  // 22 and 3: 16 would make the other lane the longest but still shorten the round, from 22 to 19.
  const std::vector<PlacedTrial> trials{{0, 4}, {0, 16}, {0, 2}, {1, 3}, {2, 5}};
  const auto move = next_move(trials, kFree);
  ASSERT_TRUE(move);
  EXPECT_EQ(move->trial, 1u);
  EXPECT_EQ(move->to, 1u);
  EXPECT_FALSE(next_move(trials, room({4, 0, 4}))) << "no slot is free there";
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
  while (const auto move = next_move(trials, room(std::vector<std::int64_t>(5, 40)))) {
    trials[move->trial].lane = move->to;
    ASSERT_LT(++moves, 200);
  }
  EXPECT_GT(moves, 10);
}

TEST(Placement, ALaneOfHalfTheSpeedGetsHalfTheTrials) {
  std::vector<PlacedTrial> trials;
  const std::vector<LaneRoom> lanes = room({9, 9}, {1.2, 0.6});
  for (int i = 0; i < 9; ++i) trials.push_back({*emptiest_lane(trials, lanes), 1});
  const auto on_slow = std::ranges::count_if(trials, [](const PlacedTrial& trial) { return trial.lane == 1; });
  EXPECT_EQ(on_slow, 3);
  EXPECT_FALSE(next_move(trials, lanes)) << "6 / 1.2 and 3 / 0.6 take as long";
  EXPECT_FALSE(next_move(std::vector<PlacedTrial>{{0, 1}, {0, 7}, {1, 3}}, lanes)) << "8 / 1.2 is no more than 4 / 0.6";
  for (PlacedTrial& trial : trials) trial.lane = 1;
  int moves = 0;
  while (const auto move = next_move(trials, lanes)) {
    trials[move->trial].lane = move->to;
    ASSERT_LT(++moves, 9);
  }
  EXPECT_EQ(moves, 6);
}

TEST(Placement, LanesHaveRoomForHalfMoreThanAnEvenShare) {
  EXPECT_EQ(roomy_share(12, 2), 9);
  EXPECT_EQ(roomy_share(17, 4), 8) << "5 and 3";
  EXPECT_EQ(roomy_share(7, 1), 7) << "more than all is none's";
  EXPECT_EQ(roomy_share(3, 2), 3);
  EXPECT_EQ(roomy_share(2, 8), 2) << "a lane may find itself with the other's";
}

TEST(Placement, SpeedsAreThoseOfRoundsThatSaySomething) {
  const std::vector<double> alike{1, 1};
  const auto after = [&](const std::vector<LaneRounds>& rounds) { return measured_speeds(alike, rounds); };
  EXPECT_EQ(after({{8, 3}, {8, 1}}), (std::vector<double>{0.5, 1.5})) << "three times as long for as much";
  EXPECT_EQ(after({{8, 1.2}, {8, 1}}), alike) << "noise";
  EXPECT_EQ(after({{8, 0}, {8, 1}}), alike) << "no clock";
  EXPECT_EQ(after({{0, 0}, {8, 1}}), alike) << "nothing to do";
  EXPECT_EQ(after({{1, 1}, {8, 2}}), alike) << "of 1 and 8 trials the 1 is slower for what it has";
  EXPECT_EQ(after({}), alike);

  // Shared out by these speeds both take as long, and they stay.
  const std::vector<double> apart{0.5, 1.5};
  EXPECT_EQ(measured_speeds(apart, std::vector<LaneRounds>{{4, 1}, {12, 1}}), apart);
  // The slow one has become as fast as the other: it is done in a third of the time.
  EXPECT_EQ(measured_speeds(apart, std::vector<LaneRounds>{{4, 1}, {12, 3}}), alike);
}

}  // namespace
}  // namespace finetune::testing
