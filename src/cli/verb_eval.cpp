#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/flags.h"
#include "cli/prepare.h"
#include "core/error.h"
#include "core/files.h"
#include "core/metric.h"
#include "core/number.h"
#include "data/dataset.h"
#include "engine/evaluate.h"
#include "engine/evaluate_objective.h"
#include "engine/pack_data.h"
#include "engine/part_losses.h"
#include "engine/session.h"
#include "host/run_paths.h"

namespace finetune {
namespace {

// Of metrics that are a share of rows also 1 or 0, where every row was asked.
std::string per_example_lines(const std::vector<ExampleLoss>& losses, const MeasuredMetrics& tasks) {
  std::string text;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    nlohmann::ordered_json line{
        {"tokens", losses[i].tokens}, {"loss_tokens", losses[i].loss_tokens}, {"nll", number_to_json(losses[i].nll)}};
    for (const auto& [name, metric] : tasks) {
      if (metric.examples.size() == losses.size() && name != "macro_f1") line[name] = metric.examples[i].value;
    }
    text += line.dump() + "\n";
  }
  return text;
}

EvalResult total(const std::vector<ExampleLoss>& losses, const Dataset& data) {
  double nll = 0;
  std::vector<double> each;
  std::int64_t loss_tokens = 0, correct = 0, bytes = 0;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    nll += losses[i].nll;
    each.push_back(losses[i].nll);
    loss_tokens += losses[i].loss_tokens;
    correct += losses[i].correct;
    bytes += data.examples[i].loss_bytes;
  }
  const auto all = static_cast<double>(std::max<std::int64_t>(1, loss_tokens));
  EvalResult result;
  result.loss = nll / all;
  result.token_accuracy = static_cast<double>(correct) / all;
  result.bits_per_byte = nll / std::log(2.0) / static_cast<double>(bytes);
  add_part_losses(part_names(data), Batch(data.examples), each, result);
  return result;
}

// Every metric of losses, and those others that were asked for, under its own name; valid_loss is plainly the loss
// here.
nlohmann::ordered_json result_json(const EvalResult& result, const std::vector<ExampleLoss>& losses) {
  nlohmann::ordered_json json{{"loss", number_to_json(result.loss)}};
  for (const Metric& metric : metrics().subspan(1)) {
    if (const auto value = value_of(metric, result)) json[metric.name] = number_to_json(*value);
  }
  for (const auto& [name, value] : result.task) {
    if (name.starts_with(kPartLoss)) json[name] = number_to_json(value);
  }
  std::int64_t tokens = 0, loss_tokens = 0;
  for (const auto& loss : losses) {
    tokens += loss.tokens;
    loss_tokens += loss.loss_tokens;
  }
  json["loss_tokens"] = loss_tokens;
  json["tokens"] = tokens;
  json["examples"] = static_cast<std::int64_t>(losses.size());
  return json;
}

// Under an objective of preferences.
nlohmann::ordered_json preferences_json(const EvalResult& result, const Dataset& data) {
  nlohmann::ordered_json json{{"loss", number_to_json(result.loss)}};
  for (const auto& [name, value] : result.task) json[name] = number_to_json(value);
  json["loss_tokens"] = data.loss_tokens;
  json["tokens"] = data.tokens;
  json["examples"] = static_cast<std::int64_t>(data.examples.size());
  return json;
}

void print_result(const nlohmann::ordered_json& result, bool as_json) {
  if (as_json) {
    std::cout << result.dump() << "\n";
    return;
  }
  for (const auto& [key, value] : result.items())
    std::cout << key << std::string(key.size() < 22 ? 22 - key.size() : 1, ' ') << value.dump() << "\n";
}

int eval_preferences(Session session, const Arguments& arguments) {
  std::cerr << "the reference is " << session.config.model.path << " without an adapter\n";
  print_result(preferences_json(evaluate_objective(session), session.data.valid), arguments.json());
  return 0;
}

MeasuredMetrics task_metrics(const Session& session) {
  MeasuredMetrics all;
  for (const auto& evaluator : session.evaluators) all.merge(evaluate_model(session.model, *evaluator, session.say));
  return all;
}

// The configuration of a run may hold out a share of its training data; here --data is all there is.
Arguments without_fraction(Arguments arguments) {
  arguments.sources.settings.insert(arguments.sources.settings.begin(), {"data.valid_fraction", "0"});
  return arguments;
}

int run_eval(const Arguments& given) {
  const Arguments arguments = without_fraction(given);
  RunConfig config = prepare_config(arguments);
  config.data.train.clear();  // of the run whose configuration this is; it need not be there any more
  check_paths(config, false, false);
  const std::string per_example = arguments.option("--per-example");
  if (!per_example.empty()) check_output_file("--per-example", per_example);
  const bool preferences = config.train.objective != ObjectiveName::sft;
  if (preferences && !per_example.empty())
    throw bad_input("", std::string("--per-example has no meaning with train.objective: ") +
                            to_text(config.train.objective) + "; it lists losses of tokens");
  Session session = open_session(config, {.trains = false, .holds_out = false, .say = say_on_stderr});
  for (const auto& note : session.notes) std::cerr << note << "\n";
  if (preferences) return eval_preferences(std::move(session), arguments);
  const std::vector<ExampleLoss> losses =
      evaluate_examples(session.model, session.data.valid.examples, session.tokens_per_pass);

  EvalResult measured = total(losses, session.data.valid);
  const MeasuredMetrics tasks = task_metrics(session);
  for (const auto& [name, metric] : tasks) measured.task[name] = metric.value;
  const nlohmann::ordered_json result = result_json(measured, losses);
  if (!per_example.empty()) write_file_atomically(per_example, per_example_lines(losses, tasks));
  print_result(result, arguments.json());
  // What tune.command could not say was said; a number that is missing is a failure.
  const auto command = measured.task.find("command");
  return command != measured.task.end() && !std::isfinite(command->second) ? 1 : 0;
}

}  // namespace

Verb eval_verb() {
  return {.name = "eval",
          .help = "loss and other metrics of a model, with or without an adapter, on a file",
          .example = "finetune_tune eval --model models/qwen --adapter runs/first/best --data test.jsonl --json",
          .flags = {model_flag(),
                    adapter_flag(),
                    data_flag(),
                    {"--per-example", "FILE",
                     "write tokens, loss tokens and nll of each line, and whether its answer is right"},
                    devices_flag()},
          .required = {"model.path", "data.valid"},
          .run = run_eval};
}

}  // namespace finetune
