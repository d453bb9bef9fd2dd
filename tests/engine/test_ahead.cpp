// Lanes that run ahead of each other: what comes out is what comes out in step, for any number of lanes.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "support/fake_lane.h"

namespace finetune::testing {
namespace {

constexpr std::int64_t kSlots = 7;         // that the study sees, whatever lanes hold
constexpr std::chrono::seconds kSoon{20};  // for what happens at once unless lanes wait for each other

// What the tuner was told and what it answered, and what was logged of each trial, in order.
class Story : public StudyObserver {
 public:
  void on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) override {
    for (std::size_t i = 0; i < results.size(); ++i) {
      lines.push_back("step " + of(*trials[i]) + " " + std::to_string(results[i].step) + " " +
                      std::to_string(results[i].train_loss) + " " + std::to_string(trials[i]->tokens));
      // After a loss that is no number the trial does not go on.
      EXPECT_TRUE(is_whole(trials[i]->id)) << lines.back();
      if (!results[i].finite) broken_.insert(trials[i]->id);
    }
  }
  void on_start(const Trial& trial) override { lines.push_back("start " + of(trial)); }
  void on_evaluation(const Trial& trial, const EvalResult& result, const MetricValues&) override {
    lines.push_back("loss " + of(trial) + " " + std::to_string(trial.step) + " " + std::to_string(result.loss));
  }
  void on_action(const Trial& trial, const Action& action) override {
    lines.push_back(to_text(action.what) + std::string(" ") + of(trial) + " " + action.reason);
  }
  void on_end(const Trial& trial) override {
    lines.push_back(std::string(to_text(trial.state)) + " " + of(trial) + " " + std::to_string(trial.step) +
                    trial.reason);
  }
  void on_round(std::int64_t round) override { lines.push_back("round " + std::to_string(round)); }
  std::vector<std::string> lines;

 private:
  static std::string of(const Trial& trial) { return std::to_string(trial.id.value); }
  bool is_whole(TrialId id) const { return !broken_.contains(id); }
  std::set<TrialId> broken_;
};

// Costs a time that its clock tells.
class TimedLane : public FakeLane {
 public:
  TimedLane(std::int64_t slots, double slowness) : FakeLane(slots), slowness_(slowness) {}
  std::vector<StepResult> step(std::span<const TrialId> ids) override {
    seconds_ += slowness_ * static_cast<double>(ids.size());
    return FakeLane::step(ids);
  }
  double step_seconds() const override { return seconds_; }

 private:
  double slowness_, seconds_ = 0;
};

// Takes more or less time by chance, so that lanes overtake each other; the first of them is slow by its clock, so that
// trials move to others.
class JitteryLane : public TimedLane {
 public:
  JitteryLane(std::int64_t slots, std::size_t number)
      : TimedLane(slots, number == 0 ? 3 : 1), random_(static_cast<unsigned>(17 * number + 1)) {}
  std::vector<StepResult> step(std::span<const TrialId> ids) override {
    random_ = random_ * 1664525u + 1013904223u;
    if ((random_ >> 16) % 32 == 0) std::this_thread::sleep_for(std::chrono::microseconds((random_ >> 20) % 200));
    return TimedLane::step(ids);
  }

 private:
  unsigned random_;
};

struct Limits {
  std::optional<double> target;
  std::optional<std::int64_t> steps, tokens, patience;
};

std::vector<std::string> story_of(const std::string& scheduler, std::size_t lanes, std::int64_t ahead, std::size_t lag,
                                  const Limits& limits) {
  std::vector<Value> rates;
  for (int i = 0; i < 26; ++i) rates.emplace_back(i == 5 || i == 13 ? 200.0 : 0.02 + 0.035 * ((i * 7) % 26));
  const SearchSpace space{{{.name = "learning_rate", .choices = rates}}};
  const TunerOptions tuner_options{.trials = std::ssize(rates),
                                   .max_steps = 27,
                                   .concurrent = 6,
                                   .budget_steps = limits.steps,
                                   .target = limits.target,
                                   .patience = limits.patience,
                                   .default_min_steps = 3};
  Params options;
  if (scheduler == "threshold") options = {{"upper", 0.9}};
  if (scheduler == "replay") options = {{"schedule", std::string("2 learning_rate=0.3,5 learning_rate=0.1")}};
  if (scheduler == "replay") rates = {0.1, 0.3, 0.5};
  const SearchSpace used{{{.name = "learning_rate", .choices = rates}}};
  Tuner tuner(tuner_options, make_sampler("grid", {{}, used, 0}),
              make_scheduler(scheduler, {options, used, tuner_options}));
  std::vector<std::unique_ptr<JitteryLane>> owned;
  std::vector<Lane*> pointers;
  for (std::size_t i = 0; i < lanes; ++i) {
    owned.push_back(std::make_unique<JitteryLane>(roomy_share(kSlots, static_cast<std::int64_t>(lanes)), i));
    owned.back()->misfit_at = {{{7}, 1}, {{9}, 5}, {{11}, 10}};
    owned.back()->refused = {{3}};
    owned.back()->cannot_evaluate = {{15}};
    pointers.push_back(owned.back().get());
  }
  StudyOptions study = options_for(27);
  study.ahead = ahead;
  study.lag = lag;
  study.slots = kSlots;
  study.budget_tokens = limits.tokens;
  study.after = {.confirm = ConfirmConfig{.top = 2, .seeds = 2}, .audit = 0.5};
  Story story;
  const StudyResult result = Study(study, tuner, pointers, {&story}).run();
  story.lines.push_back("best " + std::to_string(result.best.value_or(99)) + " of " +
                        std::to_string(result.trials.size()) + ", " + std::to_string(result.steps) + " steps, " +
                        std::to_string(result.tokens) + " tokens, " + std::to_string(result.rounds) + " rounds");
  for (const Trial& trial : result.trials) EXPECT_EQ(trial.submitted, trial.step);
  return story.lines;
}

// The first of them.
std::string difference(const std::vector<std::string>& story, const std::vector<std::string>& expected) {
  const auto [here, there] = std::ranges::mismatch(story, expected);
  if (here == story.end() && there == expected.end()) return "";
  return (here == story.end() ? "nothing" : *here) + ", not " + (there == expected.end() ? "nothing" : *there);
}

TEST(Ahead, EverySchedulerDecidesAsInStepOnAnyNumberOfLanes) {
  const std::vector<Limits> ends{{}, {.target = 0.02}, {.steps = 150}, {.tokens = 1800}, {.patience = 4}};
  for (const std::string& scheduler : scheduler_names()) {
    for (std::size_t end = 0; end < ends.size(); ++end) {
      const std::vector<std::string> in_step = story_of(scheduler, 1, 0, 0, ends[end]);
      EXPECT_GT(in_step.size(), 100u);
      for (const std::size_t lanes : {2u, 4u}) {
        SCOPED_TRACE(scheduler + ", end " + std::to_string(end) + ", lanes " + std::to_string(lanes));
        for (const std::int64_t ahead : {0, 1, 8})
          EXPECT_EQ(difference(story_of(scheduler, lanes, ahead, 0, ends[end]), in_step), "") << ahead;
      }
    }
  }
}

// A rule of the host program's may concern any trial after any step.
TEST(Ahead, WithARuleOfTheHostProgramsAllGoInStep) {
  const auto story = [](std::int64_t ahead) {
    FakeLane first(2), second(2);
    const auto tuner = tuner_over({0.1, 0.2, 0.3, 0.4}, "none", 12);
    StudyOptions options = options_for(12);
    options.with_default = false;
    options.ahead = ahead;
    options.on_step = [](std::span<const Report> reports, std::vector<Action>& actions) {
      for (const Report& report : reports) {
        if (report.step == 3 + report.trial.value)
          actions.push_back({.trial = report.trial, .what = Action::Do::change, .params = {{"learning_rate", 0.5}}});
      }
    };
    Story log;
    Study(options, *tuner, {&first, &second}, {&log}).run();
    return log.lines;
  };
  EXPECT_EQ(difference(story(8), story(0)), "");
}

// On a device, which is always a step ahead, a tuner that acts at milestones alone decides as without.
TEST(Ahead, OneLaneWithLagDecidesAsInStepWhereTheTunerActsAtMilestonesAlone) {
  for (const std::string scheduler : {"none", "asha", "median", "hyperband", "asha_promotion", "sync_hyperband"}) {
    SCOPED_TRACE(scheduler);
    EXPECT_EQ(difference(story_of(scheduler, 1, 8, 1, {}), story_of(scheduler, 1, 0, 0, {})), "");
  }
}

// Steps of lanes as they are done.
class Meeting {
 public:
  void add(std::size_t lane) {
    const std::lock_guard lock(mutex_);
    ++done_[lane];
    changed_.notify_all();
  }
  /// False where it does not come to that.
  bool wait_for(std::size_t lane, std::int64_t steps) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kSoon, [&] { return done_[lane] >= steps; });
  }
  std::int64_t done(std::size_t lane) {
    const std::lock_guard lock(mutex_);
    return done_[lane];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::size_t, std::int64_t> done_;
};

class MeetingLane : public FakeLane {
 public:
  MeetingLane(Meeting& meeting, std::size_t number) : FakeLane(1), meeting_(meeting), number_(number) {}
  std::vector<StepResult> step(std::span<const TrialId> ids) override {
    ++steps_;
    if (before_step) before_step(steps_);
    auto results = FakeLane::step(ids);
    meeting_.add(number_);
    return results;
  }
  std::vector<EvalResult> evaluate(std::span<const TrialId> ids, const EvalRequest& request) override {
    if (before_evaluation) before_evaluation(steps_);
    return FakeLane::evaluate(ids, request);
  }
  std::function<void(std::int64_t)> before_step, before_evaluation;

 private:
  Meeting& meeting_;
  std::size_t number_;
  std::int64_t steps_ = 0;
};

// The steps that the second lane does while the first is held at its first step; -1 where it does not come to so many.
std::int64_t done_while_held(Tuner& tuner, std::int64_t steps, std::int64_t expected) {
  Meeting meeting;
  MeetingLane slow(meeting, 0), fast(meeting, 1);
  std::int64_t done = -1;
  slow.before_step = [&](std::int64_t step) {
    if (step != 1 || !meeting.wait_for(1, expected)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // for a step too many
    done = meeting.done(1);
  };
  StudyOptions options = options_for(steps);
  options.with_default = false;
  options.ahead = 8;
  Study(options, tuner, {&slow, &fast}, {}).run();
  return done;
}

TEST(Ahead, ALaneGoesOnWhileAnotherIsAtAStepAndNotBeyondTheLimit) {
  const auto tuner = tuner_over({0.1, 0.2}, "none", 20);
  EXPECT_EQ(done_while_held(*tuner, 20, 9), 9) << "the round under way and 8";
}

TEST(Ahead, ALaneStopsAtARungOfItsOwn) {
  const auto tuner = tuner_over({0.1, 0.2}, "asha", 9, {{"min_steps", std::int64_t{3}}});
  EXPECT_EQ(done_while_held(*tuner, 9, 3), 3);
}

// Trial 1 breaks at once, and trial 2 begins in its place a round later: its rungs are a round behind trial 0's.
TEST(Ahead, ALaneGoesOnWhileAnotherIsAtARung) {
  Meeting meeting;
  MeetingLane first(meeting, 0), second(meeting, 1);
  bool came = false;
  first.before_evaluation = [&](std::int64_t step) {
    if (step == 3) came = meeting.wait_for(1, 4);  // one broken, and three of trial 2, in rounds 2 to 4
  };
  const auto tuner = tuner_over({0.1, 200.0, 0.2}, "asha", 9, {{"min_steps", std::int64_t{3}}});
  StudyOptions options = options_for(9);
  options.with_default = false;
  options.ahead = 8;
  const StudyResult result = Study(options, *tuner, {&first, &second}, {}).run();
  EXPECT_TRUE(came);
  EXPECT_EQ(result.trials[1].state, TrialState::failed);
  EXPECT_EQ(result.trials[1].step, 1);
}

// Who waits for an answer is waited for by those of its lane: alone it would step in a pack of its own later.
TEST(Ahead, PacksAreThoseOfLanesInStep) {
  const auto widths = [](std::int64_t ahead) {
    FakeLane first(3), second(3);
    std::vector<Value> rates;
    for (int i = 0; i < 20; ++i) rates.emplace_back(0.02 + 0.04 * ((i * 7) % 20));
    const auto tuner = tuner_over(rates, "asha", 9);
    StudyOptions options = options_for(9);
    options.ahead = ahead;
    options.concurrent = 5;
    Study(options, *tuner, {&first, &second}, {}).run();
    return std::pair(first.widths, second.widths);
  };
  EXPECT_EQ(widths(8), widths(0));
}

TEST(Ahead, WhatTheUserInterruptsCountsForNothing) {
  FakeLane first(2), second(2);  // a signal reaches all lanes
  first.interrupt_at = 8;
  second.interrupt_at = 6;
  const auto tuner = tuner_over({0.1, 0.2, 0.3, 0.4}, "none", 20);
  StudyOptions options = options_for(20);
  options.with_default = false;
  options.ahead = 8;
  Story story;
  const StudyResult result = Study(options, *tuner, {&first, &second}, {&story}).run();
  EXPECT_EQ(result.ended, EndReason::interrupted);
  EXPECT_LE(result.rounds, 5);
  for (const Trial& trial : result.trials) {
    EXPECT_EQ(trial.step, result.rounds);
    EXPECT_EQ(trial.submitted, trial.step);
  }
}

TEST(Ahead, ASlowLaneGetsFewerTrials) {
  for (const std::int64_t ahead : {0, 8}) {
    TimedLane slow(roomy_share(12, 2), 3), fast(roomy_share(12, 2), 1);
    const auto tuner = tuner_over(std::vector<Value>(12, 0.1), "none", 60);
    StudyOptions options = options_for(60);
    options.with_default = false;
    options.ahead = ahead;
    options.slots = 12;
    Study(options, *tuner, {&slow, &fast}, {}).run();
    EXPECT_EQ(slow.widths.front(), 6u);
    EXPECT_EQ(slow.widths.back(), 3u);
    EXPECT_EQ(fast.widths.back(), 9u);
    // A window of 16 rounds is what it takes to see it.
    EXPECT_LE(std::ranges::count(slow.widths, 6u), 16 + ahead + 1);
  }
}

}  // namespace
}  // namespace finetune::testing
