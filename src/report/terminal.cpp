#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/shell.h"
#include "core/text.h"
#include "report/summary.h"

namespace finetune {
namespace {

std::string states_text(const StudySummary& study) {
  std::map<std::string, int> states;
  for (const auto& trial : study.trials) ++states[trial.state];
  std::string text = fmt::format("{} trials", study.trials.size());
  for (const auto& [state, count] : states) text += fmt::format(", {} {}", count, state);
  return text;
}

std::string best_text(const StudySummary& study) {
  switch (study.best_weights) {
    case BestWeights::adapter:
      return fmt::format("adapter  {}/best   (PEFT; of trial {} after step {})\n", study.folder,
                         study.trials[*study.best].id, study.trials[*study.best].step);
    case BestWeights::model:
      return fmt::format("model    {}/best   (HuggingFace checkpoint; of trial {} after step {})\n", study.folder,
                         study.trials[*study.best].id, study.trials[*study.best].step);
    case BestWeights::none:
      break;
  }
  return "";
}

}  // namespace

std::vector<NextStep> next_steps(const StudySummary& study) {
  std::vector<NextStep> steps;
  const std::string best = shell_word(study.folder + "/best"), model = shell_word(study.model);
  if (study.can_resume)
    steps.push_back({"finetune_tune resume " + shell_word(study.folder), "go on where it was interrupted"});
  // The configuration says how the data is read: prompt, template, length.
  const std::string config = study.has_best_yaml ? "--config " + shell_word(study.folder + "/best.yaml") : "";
  if (study.best_weights == BestWeights::adapter) {
    steps.push_back(
        {"finetune_tune eval " + (config.empty() ? "--model " + model : config) + " --adapter " + best + " --data FILE",
         "score it on other data"});
    steps.push_back({"finetune_tune export --model " + model + " --adapter " + best + " --out NEW",
                     "base and adapter as one checkpoint"});
    steps.push_back(
        {"python: peft.PeftModel.from_pretrained(base, \"" + study.folder + "/best\")", "load it in Python"});
  } else if (study.best_weights == BestWeights::model) {
    steps.push_back({"finetune_tune eval " + (config.empty() ? "" : config + " ") + "--model " + best + " --data FILE",
                     "score it on other data"});
    steps.push_back({"python: transformers.AutoModelForCausalLM.from_pretrained(\"" + study.folder + "/best\")",
                     "load it in Python"});
  }
  if (study.has_best_yaml)
    steps.push_back({"finetune_tune train --config " + shell_word(study.folder + "/best.yaml") + " --out NEW",
                     "train it again: the same bytes"});
  return steps;
}

std::string report_text(const StudySummary& study) {
  std::string text = verdict(study) + "\n";
  if (study.interrupted) text += "The study was interrupted; this is what there was.\n";
  if (study.best) {
    for (const auto& [name, value] : study.trials[*study.best].params)
      text += fmt::format("  {} = {}\n", name, to_text(value));
  }
  text +=
      fmt::format("{}; {} steps ({} saved by stopping), {} tokens, {:.1f} s\n", states_text(study),
                  with_commas(study.steps), with_commas(study.saved_steps), with_commas(study.tokens), study.seconds);
  text += best_text(study);
  text += fmt::format("report   {0}/report.html, report.md, report.json\n", study.folder);
  const std::vector<NextStep> steps = next_steps(study);
  std::size_t width = 0;
  for (const auto& step : steps) width = std::max(width, step.command.size());
  if (!steps.empty()) text += "next:\n";
  for (const auto& [command, what] : steps) text += fmt::format("  {:<{}}   # {}\n", command, width, what);
  return text;
}

}  // namespace finetune
