#include "remote/lane_messages.h"

#include "config/config.h"
#include "core/number.h"
#include "engine/result_json.h"

namespace finetune::remote {

// As run.yaml has it, which reads back as the same values; shares are no key, and epochs are steps by now.
Json config_json(const TrainConfig& config) {
  RunConfig whole;
  whole.train = config;
  whole.train.epochs.reset();
  return {{"yaml", to_yaml(whole)}, {"shares", config.shares}};
}

TrainConfig config_from(const Json& json) {
  RunConfig whole = load_config({.text = json.at("yaml").get<std::string>()});
  whole.train.shares = json.at("shares").get<std::vector<double>>();
  return whole.train;
}

Json step_message(const StepResult& result) {
  Json json = step_json(result);
  json["trial"] = result.trial.value;
  return json;
}

StepResult step_from_message(const Json& json) {
  StepResult result = step_from(json);
  result.trial = {whole_from(json.at("trial"))};
  return result;
}

Json evaluation_message(const EvalResult& result) {
  Json json = evaluation_json(result), examples = Json::array();
  for (const ExampleFigure& one : result.examples)
    examples.push_back({number_to_json(one.value), number_to_json(one.weight)});
  json["trial"] = result.trial.value;
  json["examples"] = std::move(examples);
  json["failure"] = result.failure;
  return json;
}

EvalResult evaluation_from_message(const Json& json) {
  EvalResult result = evaluation_from(json, {whole_from(json.at("trial"))});
  for (const Json& one : json.at("examples"))
    result.examples.push_back({number_from_json(one.at(0)), number_from_json(one.at(1))});
  result.failure = json.at("failure").get<std::string>();
  return result;
}

Json error_json(const Error& error) {
  return {{"error", {{"kind", exit_code(error.kind())}, {"where", error.where()}, {"message", error.message()}}}};
}

void rethrow_error(const Json& reply) {
  if (!reply.contains("error")) return;
  const Json& error = reply.at("error");
  const int code = error.at("kind").get<int>();
  const ErrorKind kind = code == exit_code(ErrorKind::bad_input) ? ErrorKind::bad_input : ErrorKind::failed;
  throw Error(kind, error.at("where").get<std::string>(), error.at("message").get<std::string>());
}

Json trials_json(std::span<const TrialId> trials) {
  Json list = Json::array();
  for (const TrialId trial : trials) list.push_back(trial.value);
  return list;
}

std::vector<TrialId> trials_from(const Json& json) {
  std::vector<TrialId> trials;
  for (const Json& id : json) trials.push_back({id.get<std::int64_t>()});
  return trials;
}

}  // namespace finetune::remote
