#include "tuners/record_json.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tuners/saved_state.h"

namespace finetune {
namespace {

TrialState state_from(const std::string& text) {
  for (const TrialState state :
       {TrialState::running, TrialState::paused, TrialState::completed, TrialState::stopped, TrialState::failed}) {
    if (text == to_text(state)) return state;
  }
  throw bad_input("", "unknown trial state " + text);
}

}  // namespace

nlohmann::json record_json(const TrialRecord& trial) {
  nlohmann::json values = nlohmann::json::array();
  for (const auto& [step, value] : trial.values) values.push_back({step, value});
  // Parameters keep their order, which nlohmann::json would sort: a list of pairs.
  nlohmann::json params = nlohmann::json::array();
  for (const auto& [name, value] : trial.params) params.push_back({name, nlohmann::json(to_json(value))});
  nlohmann::json json{{"params", params}, {"state", to_text(trial.state)}, {"values", values}, {"step", trial.step}};
  if (trial.elsewhere) json["elsewhere"] = true;
  if (trial.known > 0) json["known"] = trial.known;
  return json;
}

TrialRecord record_from(TrialId id, const nlohmann::json& json) {
  TrialRecord trial{.id = id};
  for (const auto& pair : json.at("params")) {
    trial.params.emplace_back(pair.at(0).get<std::string>(), value_from_json(nlohmann::ordered_json(pair.at(1))));
  }
  for (const auto& pair : json.at("values")) {
    trial.values.emplace_back(count_from(pair.at(0)), pair.at(1).get<double>());
    const std::size_t here = trial.values.size() - 1;
    if (here > 0 && trial.values[here].first < trial.values[here - 1].first)
      throw bad_input("", "a trial's values are out of order");
  }
  trial.state = state_from(json.at("state").get<std::string>());
  trial.step = count_from(json.at("step"));
  trial.elsewhere = json.value("elsewhere", false);
  trial.known = json.contains("known") ? count_from(json["known"]) : 0;
  if (!trial.values.empty() && trial.values.back().first > trial.step)
    throw bad_input("", "a trial has a value past its last step");
  return trial;
}

}  // namespace finetune
