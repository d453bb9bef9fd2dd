// A client of AskTellSession for tests: sessions from a few words, and a study played line by line against a made-up
// objective.
#pragma once

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/number.h"
#include "core/random.h"
#include "tuners/asktell/session.h"
#include "tuners/registry.h"

namespace finetune::testing {

using Json = nlohmann::ordered_json;

struct Play {
  std::string sampler = "random", scheduler = "none";
  Params options;  // of the scheduler
  std::int64_t trials = 4, steps = 3;
  std::optional<std::int64_t> concurrent, budget_steps, patience;
  std::optional<double> target;
  Direction direction = Direction::minimize;
  std::uint64_t seed = 7;
  std::function<bool()> out_of_time;
};

/// One categorical, one conditional and one stepped whole number: every sampler takes it.
inline SearchSpace play_space() {
  return {{{.name = "kind", .choices = {std::string("a"), std::string("8"), std::int64_t{8}, true}},
           {.name = "depth", .low = 1, .high = 9, .integer = true, .step = 2},
           {.name = "only a", .choices = {0.5, 2.5}, .when = {{"kind", {std::string("a")}}}}}};
}

inline AskTellSession session_of(const Play& play) {
  AskTellSetup setup;
  setup.steps = play.steps;
  setup.direction = play.direction;
  setup.identity = {{"tune.seed", play.seed}};
  setup.out_of_time = play.out_of_time;
  setup.make_tuner = [play] {
    TunerOptions options{.trials = play.trials,
                         .max_steps = play.steps,
                         .concurrent = play.concurrent,
                         .budget_steps = play.budget_steps,
                         .target = play.target,
                         .patience = play.patience,
                         .direction = play.direction,
                         .seed = play.seed};
    return std::make_unique<Tuner>(options, make_sampler(play.sampler, {{}, play_space(), play.seed}),
                                   make_scheduler(play.scheduler, {play.options, play_space(), options}));
  };
  return AskTellSession(std::move(setup));
}

/// The loss of a trial at a step: falls towards a value of its own.
inline double made_up_loss(std::int64_t id, std::int64_t step) {
  Random random(11, Purpose::test, static_cast<std::uint64_t>(id));
  return random.uniform() + 1.0 / static_cast<double>(step);
}

struct PlayTrial {
  std::int64_t step = 0;
  std::string state = "running";
};

// The caller's side of a study. Goes on with another session when one is handed to `play`.
class PlayClient {
 public:
  explicit PlayClient(const Play& play) : play_(play) {}

  /// Up to `rounds` rounds; false once nothing is left. `reversed`: entries of a line in falling order.
  bool play(AskTellSession& session, int rounds, bool reversed = false, int ask_for = 3) {
    for (int round = 0; round < rounds; ++round) {
      if (done && running().empty()) return false;
      const Json asked = say(session, {{"ask", ask_for}});
      for (const auto& trial : asked.at("trials")) trials[trial.at("id")] = {};
      obey(asked);
      most_running = std::max(most_running, running().size());
      if (asked.contains("done")) done = true;
      std::vector<std::int64_t> ids = running();
      if (ids.empty()) return !done && !asked.at("trials").empty();
      if (reversed) std::reverse(ids.begin(), ids.end());
      Json entries = Json::array();
      for (const auto id : ids) {
        const double sign = play_.direction == Direction::minimize ? 1 : -1;
        const std::int64_t step = ++trials[id].step;
        entries.push_back({{"id", id}, {"step", step}, {"value", sign * made_up_loss(id, step)}});
      }
      for (const auto id : ids)
        if (trials[id].step == play_.steps) trials[id].state = "completed";
      obey(say(session, {{"report", entries}}));
    }
    return true;
  }

  std::map<std::int64_t, PlayTrial> trials;
  std::vector<std::string> answers;  // every one, in order
  std::size_t most_running = 0;
  bool done = false;

 private:
  Json say(AskTellSession& session, const Json& request) {
    answers.push_back(session.answer(request.dump()));
    return Json::parse(answers.back());
  }
  void obey(const Json& answer) {
    if (!answer.contains("actions")) return;
    for (const auto& action : answer.at("actions")) {
      const std::string what = action.at("do");
      PlayTrial& trial = trials[action.at("id")];
      if (what == "stop") trial.state = "stopped";
      if (what == "pause") trial.state = "paused";
      if (what == "resume") trial.state = "running";
    }
  }
  std::vector<std::int64_t> running() const {
    std::vector<std::int64_t> ids;
    for (const auto& [id, trial] : trials)
      if (trial.state == "running") ids.push_back(id);
    return ids;
  }
  Play play_;
};

}  // namespace finetune::testing
