// Plays a scheduler by hand.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tuners/registry.h"
#include "tuners/tuner.h"

namespace finetune::testing {

using Ids = std::vector<std::int64_t>;
using Log = std::vector<std::string>;

// Values by trial id in, what was decided out as text: "stop 3", "pause 1".
class Game {
 public:
  Game(const std::string& scheduler, const Params& options, const TunerOptions& tuner)
      : tuner_(tuner, make_sampler("random", {{}, space(), 0}), make_scheduler(scheduler, {options, space(), tuner})) {}

  std::vector<std::string> ask(std::int64_t count) {
    std::vector<Action> actions;
    auto log = std::vector<std::string>();
    for (const auto& trial : tuner_.ask(count, actions)) log.push_back("new " + std::to_string(trial.id.value));
    for (auto& line : texts(actions)) log.push_back(std::move(line));
    return log;
  }
  std::vector<std::string> report(std::int64_t step, const std::map<std::int64_t, double>& values,
                                  std::optional<double> train = {}) {
    std::vector<Report> reports;
    for (const auto& [id, value] : values)
      reports.push_back({.trial = {id}, .step = step, .train_loss = train, .metric = value});
    std::vector<Action> actions;
    tuner_.report(reports, actions);
    return texts(actions);
  }
  std::vector<std::string> fail(std::int64_t id) {
    std::vector<Action> actions;
    tuner_.tell({id}, TrialState::failed, std::nullopt, actions);
    return texts(actions);
  }
  Tuner& tuner() { return tuner_; }

 private:
  static SearchSpace space() { return {{{.name = "x", .low = 0.1, .high = 10, .log = true}}}; }
  static std::vector<std::string> texts(const std::vector<Action>& actions) {
    std::vector<std::string> lines;
    for (const auto& action : actions)
      lines.push_back(std::string(to_text(action.what)) + " " + std::to_string(action.trial.value));
    std::sort(lines.begin(), lines.end());
    return lines;
  }
  Tuner tuner_;
};

inline Params halving(std::int64_t min_steps, std::int64_t eta) {
  return {{"min_steps", min_steps}, {"reduction_factor", eta}};
}

}  // namespace finetune::testing
