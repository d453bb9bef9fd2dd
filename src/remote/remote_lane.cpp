#include "remote/remote_lane.h"

#include <map>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/strict_json.h"
#include "remote/lane_messages.h"
#include "remote/remote_image.h"

namespace finetune::remote {

// Requests in order over a channel that may break. What changes the lane's state is remembered until the states
// themselves have come over.
class LaneLine {
 public:
  LaneLine(std::unique_ptr<LaneChannel> channel, std::int64_t slots, std::function<void(const std::string&)> say)
      : channel_(std::move(channel)), slots_(slots), say_(std::move(say)) {}

  std::int64_t free_slots() const { return slots_ - std::ssize(residents_); }

  LaneReply ask(const LaneRequest& request) {
    LaneReply reply;
    despite_losses([&] {
      take_all();
      channel_->send(request);
      reply = channel_->receive();
    });
    check(reply);
    return reply;
  }

  LaneReply change(const LaneRequest& request) {
    LaneReply reply = ask(request);
    journal_.push_back(request);
    return reply;
  }

  void submit(const LaneRequest& request) {
    despite_losses([&] { channel_->send(request); });
    sent_.push_back(request);
  }

  LaneReply collect() {
    if (taken_.empty()) despite_losses([&] { take(); });
    LaneReply reply = std::move(taken_.front());
    taken_.pop_front();
    check(reply);
    if (++rounds_ >= kRoundsKept) keep_states();
    return reply;
  }

  // The configuration that a resident trial has now; nothing: it is none any more.
  void note(TrialId trial, std::optional<Json> config) {
    if (config)
      residents_[trial] = std::move(*config);
    else
      residents_.erase(trial);
  }

  std::int64_t tokens_per_pass = 0;
  double evaluation_seconds = 0, step_seconds = 0;  // of the lanes at the other end

 private:
  struct State {
    TrialId trial;
    Json config;
    std::shared_ptr<const ImageBytes> image;
  };

  template <typename Work>
  void despite_losses(const Work& work) {
    for (int losses = 0;;) {
      try {
        return work();
      } catch (const LaneLost& lost) {
        stand_in(lost.what(), losses);
      }
    }
  }

  static void check(const LaneReply& reply) { rethrow_error(parse_strict_json("a lane's answer", reply.json, 8)); }

  void take() {
    LaneReply reply = channel_->receive();
    journal_.push_back(std::move(sent_.front()));
    sent_.pop_front();
    taken_.push_back(std::move(reply));
  }
  void take_all() {
    while (!sent_.empty()) take();
  }

  void stand_in(const std::string& why, int& losses) {
    for (std::string reason = why;;) {
      if (++losses > kMostLosses) throw failed("", "a lane was lost again and again: " + reason);
      say_("a lane was lost (" + reason + "); its trials go on elsewhere, from their last states");
      try {
        channel_->reopen();
        return replay();
      } catch (const LaneLost& lost) {
        reason = lost.what();
      }
    }
  }

  void replay() {
    const auto again = [this](const LaneRequest& request) {
      channel_->send(request);
      check(channel_->receive());
    };
    for (const State& state : states_)
      again({Json{{"do", "restore"}, {"trial", state.trial.value}, {"config", state.config}}.dump(), state.image});
    if (tokens_per_pass > 0) again({Json{{"do", "set_tokens_per_pass"}, {"tokens", tokens_per_pass}}.dump()});
    for (const LaneRequest& request : journal_) again(request);
    for (const LaneRequest& request : sent_) channel_->send(request);
  }

  void keep_states() {
    std::vector<State> states;
    for (const auto& [trial, config] : residents_) {
      const LaneReply reply = ask({Json{{"do", "capture"}, {"trial", trial.value}}.dump()});
      if (reply.image == nullptr) return;  // there is no memory for it now
      states.push_back({trial, config, reply.image});
    }
    states_ = std::move(states);
    journal_.clear();
    rounds_ = 0;
  }

  std::unique_ptr<LaneChannel> channel_;
  std::int64_t slots_;
  std::function<void(const std::string&)> say_;
  std::map<TrialId, Json> residents_;
  std::vector<State> states_;         // of who was resident when they were last asked for
  std::vector<LaneRequest> journal_;  // what has changed them since, in order
  std::deque<LaneRequest> sent_;      // steps that have not been answered
  std::deque<LaneReply> taken_;       // answers to steps that nobody has collected
  std::int64_t rounds_ = 0;           // since the states came over
};

namespace {

LaneRequest request(const char* what, const Json& arguments, std::shared_ptr<const ImageBytes> image = {}) {
  Json json{{"do", what}};
  json.update(arguments);
  return {json.dump(), std::move(image)};
}

Json json_of(const LaneReply& reply) {
  return parse_strict_json("a lane's answer", reply.json, 8);
}

}  // namespace

RemoteLane::RemoteLane(std::unique_ptr<LaneChannel> channel, std::int64_t slots,
                       std::function<void(const std::string&)> say)
    : line_(std::make_unique<LaneLine>(std::move(channel), slots, std::move(say))) {}
RemoteLane::~RemoteLane() = default;

std::int64_t RemoteLane::free_slots() const {
  return line_->free_slots();
}

void RemoteLane::admit(TrialId trial, const TrainConfig& config) {
  Json json = config_json(config);
  line_->change(request("admit", {{"trial", trial.value}, {"config", json}}));
  line_->note(trial, std::move(json));
}

void RemoteLane::release(TrialId trial) {
  line_->change(request("release", {{"trial", trial.value}}));
  line_->note(trial, std::nullopt);
}

std::vector<StepResult> RemoteLane::step(std::span<const TrialId> trials) {
  submit(trials);
  return collect();
}

void RemoteLane::submit(std::span<const TrialId> trials) {
  line_->submit(request("step", {{"trials", trials_json(trials)}}));
}

std::vector<StepResult> RemoteLane::collect() {
  const Json reply = json_of(line_->collect());
  line_->tokens_per_pass = reply.at("tokens_per_pass").get<std::int64_t>();
  line_->step_seconds += reply.at("seconds").get<double>();
  std::vector<StepResult> results;
  for (const Json& one : reply.at("steps")) results.push_back(step_from_message(one));
  return results;
}

std::vector<EvalResult> RemoteLane::evaluate(std::span<const TrialId> trials, const EvalRequest& what) {
  const Json reply = json_of(line_->ask(request(
      "evaluate",
      {{"trials", trials_json(trials)}, {"tasks", what.tasks}, {"examples", what.examples}, {"test", what.test}})));
  line_->evaluation_seconds += reply.at("seconds").get<double>();
  std::vector<EvalResult> results;
  for (const Json& one : reply.at("evaluations")) results.push_back(evaluation_from_message(one));
  return results;
}

void RemoteLane::change(TrialId trial, const TrainConfig& config) {
  Json json = config_json(config);
  line_->change(request("change", {{"trial", trial.value}, {"config", json}}));
  line_->note(trial, std::move(json));
}

void RemoteLane::copy(TrialId from, TrialId to, const TrainConfig& config) {
  Json json = config_json(config);
  line_->change(request("copy", {{"from", from.value}, {"trial", to.value}, {"config", json}}));
  line_->note(to, std::move(json));
}

std::shared_ptr<const TrialImage> RemoteLane::capture(TrialId trial) const {
  const LaneReply reply = line_->ask(request("capture", {{"trial", trial.value}}));
  return reply.image == nullptr ? nullptr : std::make_shared<const RemoteImage>(reply.image);
}

void RemoteLane::restore(TrialId trial, const TrainConfig& config, const TrialImage& image) {
  Json json = config_json(config);
  line_->change(request("restore", {{"trial", trial.value}, {"config", json}}, bytes_of(image)));
  line_->note(trial, std::move(json));
}

void RemoteLane::copy_from_image(const TrialImage& image, TrialId to, const TrainConfig& config) {
  Json json = config_json(config);
  line_->change(request("copy_from_image", {{"trial", to.value}, {"config", json}}, bytes_of(image)));
  line_->note(to, std::move(json));
}

// The lane at the other end looks at it when it is restored.
std::shared_ptr<const TrialImage> RemoteLane::image_of(const ImageParts& parts) const {
  return std::make_shared<const RemoteImage>(std::make_shared<const OwnBytes>(image_bytes(parts)));
}

std::int64_t RemoteLane::tokens_per_pass() const {
  return line_->tokens_per_pass;
}

void RemoteLane::set_tokens_per_pass(std::int64_t tokens) {
  line_->change(request("set_tokens_per_pass", {{"tokens", tokens}}));
  line_->tokens_per_pass = tokens;
}

double RemoteLane::evaluation_seconds() const {
  return line_->evaluation_seconds;
}

double RemoteLane::step_seconds() const {
  return line_->step_seconds;
}

}  // namespace finetune::remote
