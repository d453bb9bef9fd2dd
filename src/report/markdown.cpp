#include <fmt/format.h>

#include "core/number.h"
#include "core/text.h"
#include "report/summary.h"

namespace finetune {
namespace {

// Table cells: bars and line ends would break the row.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out;
}

}  // namespace

std::string report_markdown(const StudySummary& study) {
  std::string text = "# Study of " + cell(study.model) + "\n\n" + verdict(study) + "\n\n";
  if (study.interrupted) text += "The study was interrupted; this is what there was.\n\n";
  if (!study.stopped_by.empty()) text += "The study was ended by tune.budget." + study.stopped_by + ".\n\n";
  text +=
      fmt::format("- training data: {}\n- validation data: {}\n- sampler {}, scheduler {}, {} steps a trial\n- {}\n\n",
                  cell(study.train_data), cell(study.valid_data), study.sampler, study.scheduler, study.full_steps,
                  cell(study.device));
  text += "| trial | " + study.metric + " | step | state | reason |";
  std::vector<std::string> names;
  if (!study.trials.empty()) {
    for (const auto& [name, value] : study.trials.front().params) names.push_back(name);
  }
  for (const auto& name : names) text += " " + cell(name) + " |";
  text += "\n|---|---|---|---|---|" + std::string();
  for (std::size_t i = 0; i < names.size(); ++i) text += "---|";
  text += "\n";
  for (std::size_t i = 0; i < study.trials.size(); ++i) {
    const TrialSummary& trial = study.trials[i];
    const bool best = study.best && *study.best == i;
    text += fmt::format("| {}{} | {} | {} | {} | {} |", trial.id, best ? " (best)" : "",
                        trial.metric ? fmt::format("{:.6g}", *trial.metric) : "-", trial.step, trial.state,
                        cell(trial.reason));
    for (const auto& name : names) {
      const Value* value = find_param(trial.params, name);
      text += " " + (value ? cell(to_text(*value)) : "") + " |";
    }
    text += "\n";
  }
  text += fmt::format("\nCost: {} steps, {} saved by stopping, {} tokens, {:.1f} s.\n", with_commas(study.steps),
                      with_commas(study.saved_steps), with_commas(study.tokens), study.seconds);
  if (!study.importance.empty()) {
    text += fmt::format(
        "\nShare of the metric's variance that each parameter explains alone, at step {}, the highest that at least "
        "half "
        "of the evaluated trials reached (rough):\n\n",
        study.compared_step);
    for (const auto& [name, share] : study.importance) text += fmt::format("- {}: {:.0f} %\n", cell(name), 100 * share);
  }
  const std::vector<NextStep> steps = next_steps(study);
  if (!steps.empty()) text += "\nNext:\n\n";
  for (const auto& [command, what] : steps) text += "    # " + what + "\n    " + cell(command) + "\n";
  return text;
}

}  // namespace finetune
