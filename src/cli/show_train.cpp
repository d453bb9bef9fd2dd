#include "cli/show_train.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"
#include "core/metric.h"
#include "core/number.h"
#include "core/shell.h"
#include "core/text.h"

namespace finetune {

nlohmann::ordered_json train_json(const TrainResult& result) {
  const Trial& trial = result.trial;
  nlohmann::ordered_json json = {{"out", result.weights.string()},
                                 {"steps", trial.step},
                                 {"tokens", trial.tokens},
                                 {"train_loss", number_to_json(trial.train_loss)}};
  if (trial.best_metric) json["best"] = {{"metric", number_to_json(*trial.best_metric)}, {"step", trial.best_step}};
  if (result.profile) json["profile"] = to_json(*result.profile);
  if (!trial.metric) return json;
  for (const auto& [name, value] : logged_values(result.metrics, trial.evaluation)) json[name] = number_to_json(value);
  return json;
}

namespace {

// run.yaml says how the data is read: prompt, template, length.
std::string result_text(const TrainResult& result) {
  const Trial& trial = result.trial;
  std::string text;
  if (result.profile) text = join(profile_lines(*result.profile, terminal_columns(STDOUT_FILENO)), "\n") + "\n";
  text += fmt::format("{} steps", trial.step);
  if (!trial.reason.empty()) text += " (" + trial.reason + ")";
  if (trial.step > 0) text += fmt::format(", train loss {:.5g}", trial.train_loss);
  if (trial.metric) text += fmt::format(", {} {:.5g}", result.metric, *trial.metric);
  if (result.interrupted && result.can_resume)
    text += fmt::format("\ninterrupted; it goes on with: finetune_tune resume {}",
                        shell_word(result.weights.parent_path().string()));
  const std::string weights = shell_word(result.weights.string()), base = shell_word(result.base),
                    config = shell_word((result.weights.parent_path() / "run.yaml").string());
  if (result.full)
    return text + fmt::format(
                      "\nmodel    {0}   (HuggingFace checkpoint)\nnext:\n"
                      "  finetune_tune eval --config {1} --model {0} --data FILE\n",
                      weights, config);
  return text + fmt::format(
                    "\nadapter  {0}   (PEFT)\nnext:\n"
                    "  finetune_tune eval --config {1} --adapter {0} --data FILE\n"
                    "  finetune_tune export --model {2}{3} --adapter {0} --out NEW\n",
                    weights, config, base, result.base_settings);
}

}  // namespace

int show_train(const TrainResult& result, bool json) {
  if (json)
    std::cout << train_json(result).dump() << "\n";
  else
    std::cout << result_text(result);
  return result.interrupted ? 130 : 0;
}

}  // namespace finetune
