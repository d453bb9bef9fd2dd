#include "engine/result_json.h"

#include "core/error.h"
#include "core/number.h"

namespace finetune {

using Json = nlohmann::ordered_json;

std::int64_t whole_from(const Json& json) {
  if (!json.is_number_integer() || (json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX))
    throw bad_input("", "a whole number is missing");
  return json.get<std::int64_t>();
}

Json evaluation_json(const EvalResult& result) {
  Json task = Json::object();
  for (const auto& [name, value] : result.task) task[name] = number_to_json(value);
  return {{"loss", number_to_json(result.loss)},
          {"token_accuracy", number_to_json(result.token_accuracy)},
          {"bits_per_byte", number_to_json(result.bits_per_byte)},
          {"task", task}};
}
EvalResult evaluation_from(const Json& json, TrialId trial) {
  EvalResult result;
  result.trial = trial;
  result.loss = number_from_json(json.at("loss"));
  result.token_accuracy = number_from_json(json.at("token_accuracy"));
  result.bits_per_byte = number_from_json(json.at("bits_per_byte"));
  for (const auto& [name, value] : json.at("task").items()) result.task[name] = number_from_json(value);
  return result;
}

Json step_json(const StepResult& step) {
  return {{"step", step.step},
          {"tokens", step.tokens},
          {"train_loss", number_to_json(step.train_loss)},
          {"gradient_norm", number_to_json(step.gradient_norm)},
          {"learning_rate", number_to_json(step.learning_rate)},
          {"finite", step.finite},
          {"failure", step.failure}};
}
StepResult step_from(const Json& json) {
  return {.step = whole_from(json.at("step")),
          .tokens = whole_from(json.at("tokens")),
          .train_loss = number_from_json(json.at("train_loss")),
          .gradient_norm = number_from_json(json.at("gradient_norm")),
          .learning_rate = number_from_json(json.at("learning_rate")),
          .finite = json.at("finite").get<bool>(),
          .failure = json.at("failure").get<std::string>()};
}

}  // namespace finetune
