// What is said where stderr is no terminal.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "cli/progress.h"

namespace finetune::testing {
namespace {

class Said {
 public:
  Progress progress(std::chrono::milliseconds every) {
    return Progress({.status_every = every, .put = [this](const std::string& text) {
                       const std::lock_guard lock(mutex_);
                       text_ += text;
                     }});
  }
  std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  // A time-out is the test's own; no machine is too slow for a line every few milliseconds.
  bool waits_for(const std::string& words) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (text().find(words) == std::string::npos) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

struct Player {
  Trial trial;
  void start(Progress& progress, std::int64_t id) {
    trial.id = TrialId{id};
    progress.on_start(trial);
  }
  void step(Progress& progress, std::int64_t step) {
    trial.step = step;
    const StepResult result{.trial = trial.id, .step = step, .tokens = 10, .train_loss = 2.5};
    const Trial* pointer = &trial;
    progress.on_steps({&result, 1}, {&pointer, 1});
  }
};

TEST(Progress, SaysHowFarItIsWhileTheStudyWaits) {
  Said said;
  Progress progress = said.progress(std::chrono::milliseconds(5));
  const StudyHooks hooks = progress.hooks({});
  EXPECT_TRUE(said.waits_for("still reading model and data")) << said.text();
  hooks.on_begin({.trials = 4, .steps_per_trial = 10, .metric = "token_accuracy", .direction = Direction::maximize});
  Player first, second;
  first.start(progress, 0);
  second.start(progress, 1);
  first.step(progress, 10);
  progress.on_evaluation(first.trial, {}, {0.25, 0.25});
  second.step(progress, 10);
  progress.on_evaluation(second.trial, {}, {0.125, 0.125});
  EXPECT_TRUE(said.waits_for("50 %  0/4 trials")) << said.text();
  EXPECT_TRUE(said.waits_for("best token_accuracy 0.25 (trial 0)")) << said.text();
  EXPECT_TRUE(said.waits_for(" left")) << said.text();
  EXPECT_EQ(said.text().find("trial 1  token_accuracy"), std::string::npos) << "0.125 is worse: " << said.text();
  progress.end();
  const std::string at_the_end = said.text();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(said.text(), at_the_end) << "nothing is said afterwards";
}

// The message of Ctrl-C stands below the live table: what is said next must not climb over it.
TEST(Progress, OnATerminalAnInterruptLeavesTheTableWhereItIs) {
  std::string text;
  std::mutex mutex;
  std::atomic<bool> stop = false;
  Progress progress({.terminal = true, .put = [&](const std::string& more) {
                       const std::lock_guard lock(mutex);
                       text += more;
                     }});
  const StudyHooks hooks = progress.hooks([&] { return stop.load(); });
  hooks.on_begin({.trials = 2, .steps_per_trial = 10, .metric = "valid_loss"});
  Player player;
  player.start(progress, 0);
  const auto drawn = [&] {
    const std::lock_guard lock(mutex);
    return text.find("0 %") != std::string::npos;
  };
  while (!drawn()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_NE(text.find("step     0/10\n"), std::string::npos) << "no loss before the first step: " << text;
  stop = true;
  const std::size_t before = text.size();
  hooks.say("the last word");
  EXPECT_EQ(text.substr(before), "the last word\n");
}

TEST(Progress, WhoEndsIsShownAsItIsAndAsItWasAtItsBest) {
  Said said;
  Progress progress = said.progress(std::chrono::hours(1));
  progress.hooks({}).on_begin({.trials = 2, .steps_per_trial = 10, .metric = "valid_loss"});
  Player player;
  player.start(progress, 0);
  player.step(progress, 6);
  player.trial.state = TrialState::stopped;
  player.trial.metric = 0.75;
  player.trial.best_metric = 0.5;
  player.trial.best_step = 2;
  progress.on_end(player.trial);
  EXPECT_NE(said.text().find("step     6  trial 0  stopped  valid_loss 0.75, at step 2 0.5\n"), std::string::npos)
      << said.text();
}

TEST(Progress, WhoIsStoppedByAnotherMetricIsShownWithThat) {
  Said said;
  Progress progress = said.progress(std::chrono::hours(1));
  progress.hooks({}).on_begin(
      {.trials = 2, .steps_per_trial = 10, .metric = "exact_match", .rung_metric = "valid_loss"});
  Player player;
  player.start(progress, 0);
  player.step(progress, 3);
  progress.on_evaluation(player.trial, {}, {std::nullopt, 1.25});
  player.trial.state = TrialState::stopped;
  progress.on_end(player.trial);
  EXPECT_NE(said.text().find("step     3  trial 0  stopped  valid_loss 1.25\n"), std::string::npos) << said.text();
}

TEST(Progress, ABudgetThatEndsFirstIsWhatIsLeft) {
  Said said;
  Progress progress = said.progress(std::chrono::milliseconds(5));
  progress.hooks({}).on_begin({.trials = 1000, .steps_per_trial = 10, .metric = "valid_loss", .budget = {.steps = 4}});
  Player player;
  player.start(progress, 0);
  player.step(progress, 1);
  EXPECT_TRUE(said.waits_for("25 %")) << said.text();
}

}  // namespace
}  // namespace finetune::testing
