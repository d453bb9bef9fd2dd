#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/prepare.h"
#include "cli/progress.h"
#include "core/metric.h"
#include "core/number.h"
#include "core/shell.h"
#include "host/train.h"

namespace finetune {
namespace {

nlohmann::ordered_json result_json(const TrainResult& result, const Metric& tuned) {
  const Trial& trial = result.trial;
  nlohmann::ordered_json json = {{"out", result.weights.string()},
                                 {"steps", trial.step},
                                 {"tokens", trial.tokens},
                                 {"train_loss", number_to_json(trial.train_loss)}};
  if (trial.best_metric) json["best"] = {{"metric", number_to_json(*trial.best_metric)}, {"step", trial.best_step}};
  if (!trial.metric) return json;
  for (const Metric& metric : {metrics().front(), tuned})
    json[metric.name] = number_to_json(metric.of(trial.evaluation));
  return json;
}

// run.yaml says how the data is read: prompt, template, length.
std::string result_text(const TrainResult& result, const std::string& metric) {
  const Trial& trial = result.trial;
  std::string text = fmt::format("{} steps", trial.step);
  if (!trial.reason.empty()) text += " (" + trial.reason + ")";
  if (trial.step > 0) text += fmt::format(", train loss {:.5g}", trial.train_loss);
  if (trial.metric) text += fmt::format(", {} {:.5g}", metric, *trial.metric);
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
                    "  finetune_tune export --model {2} --adapter {0} --out NEW\n",
                    weights, config, base);
}

int run_train(const Arguments& arguments) {
  const RunConfig config = prepare_config(arguments);
  const InterruptGuard guard;
  Progress progress;
  const TrainResult result = train(config, progress.hooks(InterruptGuard::requested), arguments.overwrite());
  progress.end();
  if (arguments.json())
    std::cout << result_json(result, metric_named(config.tune.metric)).dump() << "\n";
  else
    std::cout << result_text(result, config.tune.metric);
  return InterruptGuard::requested() ? 130 : 0;
}

}  // namespace

Verb train_verb() {
  return {.name = "train",
          .help = "train one configuration, no search",
          .example = "finetune_tune train --config runs/first/best.yaml --out runs/again",
          .flags = training_flags() + out_flags(),
          .required = {"model.path", "data.train", "run.out"},
          .run = run_train};
}

}  // namespace finetune
