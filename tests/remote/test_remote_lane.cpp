// Studies over lanes in other processes: the same whichever request of whichever lane finds its process gone.
#include <gtest/gtest.h>

#include <atomic>

#include "remote/lane_messages.h"
#include "remote/lane_server.h"
#include "remote/remote_image.h"
#include "remote/remote_lane.h"
#include "support/fake_lane.h"

namespace finetune::remote {
namespace {

using finetune::testing::FakeLane;
using finetune::testing::options_for;
using finetune::testing::tuner_over;

struct Loss {
  std::int64_t at = 0;      // the request, counted over all, whose process goes; 0 = none does
  bool receiving = false;   // with its answer, not before it is sent
  std::int64_t reopen = 0;  // how often standing in fails before it works
};

// A process that may go at a request.
class MortalChannel : public LaneChannel {
 public:
  MortalChannel(std::int64_t slots, Loss loss, std::atomic<std::int64_t>& requests)
      : slots_(slots), loss_(loss), requests_(requests), lane_(std::make_unique<FakeLane>(slots)) {}

  void send(const LaneRequest& request) override {
    const bool goes = ++requests_ == loss_.at;
    if (goes && !loss_.receiving) die();
    require_alive();
    ServedReply reply = serve(*lane_, request.json, request.image ? request.image->fetch() : "");
    if (goes) goes_with_answer_ = true;
    replies_.push_back({std::move(reply.json), reply.image ? std::make_shared<OwnBytes>(*reply.image) : nullptr});
  }
  LaneReply receive() override {
    if (std::exchange(goes_with_answer_, false)) die();
    require_alive();
    LaneReply reply = std::move(replies_.front());
    replies_.pop_front();
    return reply;
  }
  void reopen() override {
    if (loss_.reopen-- > 0) throw LaneLost("the next one too");
    replies_.clear();
    lane_ = std::make_unique<FakeLane>(slots_);
    ++reopened;
  }
  int reopened = 0;

 private:
  void die() { lane_.reset(); }
  void require_alive() const {
    if (!lane_) throw LaneLost("killed");
  }
  std::int64_t slots_;
  Loss loss_;
  std::atomic<std::int64_t>& requests_;
  std::unique_ptr<FakeLane> lane_;
  std::deque<LaneReply> replies_;
  bool goes_with_answer_ = false;
};

// Everything of a study that its user sees of its trials.
std::string told(const StudyResult& result) {
  std::string text;
  for (const Trial& trial : result.trials)
    text += std::to_string(trial.id.value) + " " + to_text(trial.state) + " " + std::to_string(trial.step) + " " +
            to_json(trial.params).dump() + " " + std::to_string(trial.metric.value_or(-1)) + " " + trial.reason + "\n";
  return text + "rounds " + std::to_string(result.rounds);
}

const std::vector<Value> kRates{0.001, 0.003, 0.01, 0.03, 0.1, 0.3};

std::string play(const std::string& scheduler, const std::vector<Lane*>& lanes, std::size_t lag) {
  const auto tuner =
      tuner_over(kRates, scheduler, 70, scheduler == "pbt" ? Params{{"interval", std::int64_t{10}}} : Params{});
  StudyOptions options = options_for(70);
  options.lag = lag;
  options.ahead = 8;  // where the scheduler lets it
  return told(Study(std::move(options), *tuner, lanes, {}).run());
}

std::string play_here(const std::string& scheduler, std::size_t lag) {
  FakeLane a(4), b(4);
  return play(scheduler, {&a, &b}, lag);
}

struct Played {
  std::string told;
  std::int64_t requests = 0, losses = 0;
};

Played play_elsewhere(const std::string& scheduler, std::size_t lag, Loss loss) {
  std::atomic<std::int64_t> requests = 0, losses = 0;  // of both lanes, on threads of their own
  std::vector<std::unique_ptr<RemoteLane>> lanes;
  for (int i = 0; i < 2; ++i)
    lanes.push_back(std::make_unique<RemoteLane>(std::make_unique<MortalChannel>(4, loss, requests), 4,
                                                 [&](const std::string&) { ++losses; }));
  std::string told = play(scheduler, {lanes[0].get(), lanes[1].get()}, lag);
  return {std::move(told), requests, losses};
}

class RemoteStudy : public ::testing::TestWithParam<std::pair<const char*, std::size_t>> {};

TEST_P(RemoteStudy, IsThatOfOneProcess) {
  const auto [scheduler, lag] = GetParam();
  const Played played = play_elsewhere(scheduler, lag, {});
  EXPECT_EQ(played.told, play_here(scheduler, lag));
  EXPECT_EQ(played.losses, 0);
}

// Lanes have threads of their own, so which one makes a request of some number is up to them; the study is not.
TEST_P(RemoteStudy, IsTheSameWhicheverRequestFindsItsProcessGone) {
  const auto [scheduler, lag] = GetParam();
  const std::string expected = play_here(scheduler, lag);
  const std::int64_t requests = play_elsewhere(scheduler, lag, {}).requests;
  ASSERT_GT(requests, 100);
  for (std::int64_t at = 1; at < requests; at += at < 40 ? 1 : 7) {
    for (const bool receiving : {false, true}) {
      const Played played = play_elsewhere(scheduler, lag, {at, receiving, at % 3});
      EXPECT_EQ(played.told, expected) << "request " << at << (receiving ? ", receiving" : ", sending");
      EXPECT_GE(played.losses, 1);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Schedulers, RemoteStudy,
                         ::testing::Values(std::pair{"none", std::size_t{0}}, std::pair{"asha", std::size_t{0}},
                                           std::pair{"asha_promotion", std::size_t{1}},
                                           std::pair{"pbt", std::size_t{0}}, std::pair{"pbt", std::size_t{1}}),
                         [](const auto& one) {
                           return std::string(one.param.first) + "_" + std::to_string(one.param.second);
                         });

TrainConfig with_rate(double rate) {
  TrainConfig config;
  config.learning_rate = rate;
  return config;
}

// Everything that changes a lane, and what its steps say; 40 rounds in between, so that states come over.
std::string use(Lane& lane) {
  std::string told;
  const auto rounds = [&](std::vector<TrialId> trials) {
    for (int i = 0; i < 40; ++i) {
      for (const StepResult& step : lane.step(trials)) told += step_message(step).dump();
    }
  };
  lane.admit({0}, with_rate(0.01));
  lane.admit({1}, with_rate(0.03));
  rounds({{0}, {1}});
  lane.change({0}, with_rate(0.1));
  rounds({{0}, {1}});
  lane.copy({0}, {1}, with_rate(0.2));
  const auto image = lane.capture({0});
  lane.release({0});
  rounds({{1}});
  lane.restore({0}, with_rate(0.05), *image);
  lane.copy_from_image(*image, {1}, with_rate(0.07));
  rounds({{0}, {1}});
  return told;
}

TEST(RemoteLane, IsUsedAsALaneOfItsOwnProcessIs) {
  FakeLane here(2);
  const std::string expected = use(here);
  ASSERT_FALSE(expected.empty());
  std::int64_t all = 0;  // requests, where no process goes
  for (std::int64_t at = 0; at == 0 || at <= all; ++at) {
    std::atomic<std::int64_t> requests = 0;
    RemoteLane lane(std::make_unique<MortalChannel>(2, Loss{at, at % 2 == 0}, requests), 2, [](const std::string&) {});
    EXPECT_EQ(use(lane), expected) << "request " << at;
    if (at == 0) all = requests;
  }
}

// What is done again: a state of each trial, and what was asked in the rounds since they came over.
TEST(RemoteLane, LittleIsDoneAgain) {
  const auto requests_with = [](Loss loss) {
    std::atomic<std::int64_t> requests = 0;
    RemoteLane lane(std::make_unique<MortalChannel>(2, loss, requests), 2, [](const std::string&) {});
    lane.admit({0}, with_rate(0.01));
    const std::vector<TrialId> trial{{0}};
    for (int i = 0; i < 300; ++i) lane.step(trial);
    return requests.load();
  };
  const std::int64_t undisturbed = requests_with({});
  for (const std::int64_t at : {100, 200, 300})
    EXPECT_LE(requests_with({at}) - undisturbed, 1 + kRoundsKept + 1) << "request " << at;  // and the one that was lost
}

// A slow worker is known by its own clock, without the way there and back.
TEST(RemoteLane, TellsWhatItsStepsTookThere) {
  class ClockedLane : public FakeLane {
   public:
    using FakeLane::FakeLane;
    std::vector<StepResult> step(std::span<const TrialId> ids) override {
      seconds_ += 0.25;
      return FakeLane::step(ids);
    }
    double step_seconds() const override { return seconds_; }

   private:
    double seconds_ = 100;  // before this study
  };
  class Channel : public LaneChannel {
   public:
    void send(const LaneRequest& request) override {
      replies_.push_back({serve(lane_, request.json, "").json, nullptr});
    }
    LaneReply receive() override {
      LaneReply reply = std::move(replies_.front());
      replies_.pop_front();
      return reply;
    }
    void reopen() override {}

   private:
    ClockedLane lane_{1};
    std::deque<LaneReply> replies_;
  };
  RemoteLane lane(std::make_unique<Channel>(), 1, [](const std::string&) {});
  lane.admit({0}, with_rate(0.1));
  EXPECT_EQ(lane.step_seconds(), 0);
  const std::vector<TrialId> trial{{0}};
  lane.step(trial);
  lane.step(trial);
  EXPECT_EQ(lane.step_seconds(), 0.5);
}

TEST(RemoteLane, WhatTheLaneRefusesIsItsError) {
  std::atomic<std::int64_t> requests = 0;
  RemoteLane lane(std::make_unique<MortalChannel>(1, Loss{}, requests), 1, [](const std::string&) {});
  lane.admit({0}, {});
  EXPECT_EQ(lane.free_slots(), 0);
  try {
    lane.set_tokens_per_pass(64);
    lane.restore({1}, {}, RemoteImage(std::make_shared<OwnBytes>("no image")));
    FAIL() << "no image was taken for one";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_input);
    EXPECT_NE(std::string(error.what()).find("the image of a request"), std::string::npos) << error.what();
  }
  EXPECT_EQ(lane.free_slots(), 0);
}

TEST(RemoteLane, GivesUpWhereNothingStandsIn) {
  std::atomic<std::int64_t> requests = 0;
  RemoteLane lane(std::make_unique<MortalChannel>(1, Loss{1, false, 1000}, requests), 1, [](const std::string&) {});
  EXPECT_THROW(lane.admit({0}, {}), Error);
}

TEST(LaneMessages, ConfigurationsAndResultsReadBackTheSame) {
  TrainConfig config;
  config.steps = 123;
  config.learning_rate = 0.1 + 0.2;
  config.lora.rank = 3;
  config.lora.targets = {"re:.*q_proj"};
  config.changes = {{7, {{"train.learning_rate", 1e-30}}}};
  config.shares = {0.25, 1.0 / 3};
  config.epochs = 3;
  const TrainConfig again = config_from(config_json(config));
  EXPECT_EQ(again.steps, 123);
  EXPECT_EQ(again.learning_rate, 0.1 + 0.2);
  EXPECT_EQ(again.lora.rank, 3);
  EXPECT_EQ(again.lora.targets, config.lora.targets);
  EXPECT_EQ(again.shares, config.shares);
  ASSERT_EQ(again.changes.size(), 1u);
  EXPECT_EQ(std::get<double>(again.changes[0].params[0].second), 1e-30);

  const StepResult step = step_from_message(Json::parse(
      step_message(
          {.trial = {4}, .step = 9, .train_loss = NAN, .gradient_norm = INFINITY, .finite = false, .failure = "x"})
          .dump()));
  EXPECT_TRUE(std::isnan(step.train_loss) && std::isinf(step.gradient_norm) && !step.finite);
  const EvalResult result = evaluation_from_message(Json::parse(
      evaluation_message({.trial = {4}, .loss = 0.1, .task = {{"f1", NAN}}, .examples = {{0.3, 2}}}).dump()));
  EXPECT_EQ(result.loss, 0.1);
  EXPECT_TRUE(std::isnan(result.task.at("f1")));
  EXPECT_EQ(result.examples.at(0).weight, 2);
}

}  // namespace
}  // namespace finetune::remote
