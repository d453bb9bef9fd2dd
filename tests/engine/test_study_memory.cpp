// Copies of trials for which there is no memory: what can be done without goes first, and decisions are the same.
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "support/fake_lane.h"

namespace finetune::testing {
namespace {

// Keeps its last snapshot until it has to let it go.
struct HoldingSaver : StudySaver {
  bool wants_save(std::int64_t, bool, bool) override {
    held.reset();
    return true;
  }
  void save(const StudyState& snapshot) override {
    held = snapshot;
    ++saved;
  }
  void not_saved(std::int64_t round) override { missed.push_back(round); }
  void let_go() override { held.reset(); }
  std::optional<StudyState> held;
  int saved = 0;
  std::vector<std::int64_t> missed;
};

struct Tight {
  StudyResult result;
  int saved = 0;
  std::vector<std::int64_t> missed;
};

// Three trials that get better with every step, and the default configuration; six rounds.
Tight play_with(long images, std::size_t lanes = 1) {
  std::vector<FakeLane> all(lanes, FakeLane(lanes == 1 ? 4 : 3));
  std::vector<Lane*> pointers;
  for (FakeLane& lane : all) {
    lane.images = std::make_shared<const int>(0);
    lane.most_images = images;
    pointers.push_back(&lane);
  }
  HoldingSaver saver;
  StudyOptions options = options_for(6);
  options.eval_every = 1;
  options.savers = {&saver};
  const auto tuner = tuner_over({0.1, 0.5, 0.2}, "none", 6);
  StudyResult result = Study(options, *tuner, pointers, {}).run();
  return {std::move(result), saver.saved, saver.missed};
}

void expect_same(const StudyResult& result, const StudyResult& free) {
  EXPECT_EQ(result.best, free.best);
  ASSERT_EQ(result.trials.size(), free.trials.size());
  for (std::size_t i = 0; i < free.trials.size(); ++i) {
    EXPECT_EQ(result.trials[i].state, TrialState::completed);
    EXPECT_EQ(result.trials[i].best_metric, free.trials[i].best_metric);
  }
  ASSERT_NE(result.trials[1].best_image, nullptr);
  EXPECT_EQ(dynamic_cast<const FakeImage&>(*result.trials[1].best_image).step, 6);
}

// Beside what is being saved there is no room for the best of a trial: the saver is waited for.
TEST(StudyMemory, WhatIsBeingSavedIsWaitedFor) {
  const Tight free = play_with(1000), tight = play_with(7);
  EXPECT_EQ(free.saved, 6);
  EXPECT_EQ(tight.saved, free.saved);
  EXPECT_TRUE(tight.missed.empty());
  expect_same(tight.result, free.result);
}

TEST(StudyMemory, ASaveThatDoesNotFitIsLeftOutAndSaid) {
  const Tight free = play_with(1000), tight = play_with(4);
  EXPECT_EQ(tight.saved, 1) << "when all have ended";
  EXPECT_EQ(tight.missed, (std::vector<std::int64_t>{1, 2, 3, 4, 5}));
  expect_same(tight.result, free.result);
}

// The copy of an earlier best goes before the one that takes its place is made.
TEST(StudyMemory, TheBestBeforeMakesRoom) {
  const Tight free = play_with(1000), tight = play_with(3);
  expect_same(tight.result, free.result);
}

TEST(StudyMemory, WhereNothingIsLeftItEndsInALine) {
  try {
    play_with(2);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::failed);
    EXPECT_EQ(std::string(error.what()), "out of memory for a copy of trial 2; lower tune.concurrent or the rank");
  }
}

// Trials move between lanes to use all of them, which is no reason to end.
TEST(StudyMemory, WhoCannotBeCopiedStaysOnItsLane) {
  std::vector<FakeLane> lanes(2, FakeLane(3));
  for (FakeLane& lane : lanes) {
    lane.images = std::make_shared<const int>(0);
    lane.most_images = 0;
    lane.misfit_at = {{{0}, 2}, {{2}, 2}};
  }
  StudyOptions options = options_for(6);
  options.has_validation = options.with_default = false;
  const auto tuner = tuner_over({0.1, 0.5, 0.2, 0.3}, "none", 6);
  const StudyResult result = Study(options, *tuner, {&lanes[0], &lanes[1]}, {}).run();
  EXPECT_EQ(result.trials[1].state, TrialState::completed);
  EXPECT_EQ(result.trials[3].state, TrialState::completed);
  EXPECT_EQ(lanes[1].widest, 2u) << "both were on one lane, and stayed there";
}

}  // namespace
}  // namespace finetune::testing
