#include "remote/lane_messages.h"

#include "config/config.h"
#include "core/number.h"

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

Json step_json(const StepResult& result) {
  return {{"trial", result.trial.value},
          {"step", result.step},
          {"tokens", result.tokens},
          {"train_loss", number_to_json(result.train_loss)},
          {"gradient_norm", number_to_json(result.gradient_norm)},
          {"learning_rate", number_to_json(result.learning_rate)},
          {"finite", result.finite},
          {"failure", result.failure}};
}

StepResult step_from(const Json& json) {
  return {.trial = {json.at("trial").get<std::int64_t>()},
          .step = json.at("step").get<std::int64_t>(),
          .tokens = json.at("tokens").get<std::int64_t>(),
          .train_loss = number_from_json(json.at("train_loss")),
          .gradient_norm = number_from_json(json.at("gradient_norm")),
          .learning_rate = number_from_json(json.at("learning_rate")),
          .finite = json.at("finite").get<bool>(),
          .failure = json.at("failure").get<std::string>()};
}

Json evaluation_json(const EvalResult& result) {
  Json task = Json::object(), examples = Json::array();
  for (const auto& [name, value] : result.task) task[name] = number_to_json(value);
  for (const ExampleFigure& one : result.examples)
    examples.push_back({number_to_json(one.value), number_to_json(one.weight)});
  return {{"trial", result.trial.value},
          {"loss", number_to_json(result.loss)},
          {"token_accuracy", number_to_json(result.token_accuracy)},
          {"bits_per_byte", number_to_json(result.bits_per_byte)},
          {"task", std::move(task)},
          {"examples", std::move(examples)},
          {"failure", result.failure}};
}

EvalResult evaluation_from(const Json& json) {
  EvalResult result{.trial = {json.at("trial").get<std::int64_t>()},
                    .loss = number_from_json(json.at("loss")),
                    .token_accuracy = number_from_json(json.at("token_accuracy")),
                    .bits_per_byte = number_from_json(json.at("bits_per_byte")),
                    .failure = json.at("failure").get<std::string>()};
  for (const auto& [name, value] : json.at("task").items()) result.task[name] = number_from_json(value);
  for (const Json& one : json.at("examples"))
    result.examples.push_back({number_from_json(one.at(0)), number_from_json(one.at(1))});
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
