#include <fmt/format.h>

#include <algorithm>

#include "core/number.h"
#include "core/text.h"
#include "report/facts.h"
#include "report/markdown_trust.h"
#include "report/parameters.h"
#include "report/words.h"

namespace finetune {
namespace {

std::string importance_text(const ReportFacts& study) {
  if (study.importance.empty()) return "";
  double all = 0;
  for (const ImportanceFact& fact : study.importance) all += fact.ped_anova;
  std::string text = fmt::format(
      "\nShare of the metric's variance that each parameter makes alone (fANOVA), and of what it took to be among the "
      "best tenth (PED-ANOVA), at step {}, the last that at least half of the evaluated trials reached (rough):\n\n"
      "| parameter | fANOVA | PED-ANOVA | trials |\n|---|---|---|---|\n",
      study.compared_step);
  for (const ImportanceFact& fact : study.importance)
    text += fmt::format("| {} | {:.0f} % | {:.0f} % | {} |\n", markdown_cell(fact.parameter), 100 * fact.share,
                        all > 0 ? 100 * fact.ped_anova / all : 0, fact.trials);
  for (const InteractionFact& pair : study.interactions) {
    if (pair.share < 0.05) break;  // largest first
    text += fmt::format("\n{} and {} make {:.0f} % together beyond that.\n", markdown_cell(pair.first),
                        markdown_cell(pair.second), 100 * pair.share);
  }
  return text;
}

std::string correlation_text(const ReportFacts& study) {
  if (study.correlations.empty()) return "";
  std::string text = "\nRank correlation of the metric between steps, over trials evaluated at both:\n\n";
  for (const CorrelationFact& fact : study.correlations)
    text += fmt::format("- steps {} and {}: {:.2f} ({} trials)\n", fact.early, fact.late, fact.spearman, fact.trials);
  return text;
}

}  // namespace

std::string report_markdown(const ReportFacts& study) {
  std::string text = "# Study of " + markdown_cell(study.model) + "\n\n" + verdict(study) + "\n\n";
  if (study.interrupted) text += "The study was interrupted; this is what there was.\n\n";
  if (!study.stopped_by.empty()) text += "The study was ended by tune.budget." + study.stopped_by + ".\n\n";
  if (const std::string look = last_look_text(study); !look.empty()) text += markdown_cell(look) + "\n\n";
  text += markdown_hints(study) + markdown_certainty(study);
  text +=
      fmt::format("- training data: {}\n- validation data: {}\n- sampler {}, scheduler {}, {} steps a trial\n- {}\n\n",
                  markdown_cell(study.train_data), markdown_cell(study.valid_data), study.sampler, study.scheduler,
                  study.full_steps, markdown_cell(study.device));
  if (study.best) {
    const TrialFacts& best = study.trials[*study.best];
    if (const std::string further = further_text(best); !further.empty())
      text += fmt::format("Further metrics of trial {}: {}.\n\n", best.id, further);
  }
  text += "| trial | " + study.metric + " | step | state | reason |";
  for (const std::string& metric : study.further) text += " " + metric + " |";
  std::vector<std::string> names;
  for (const ParameterFacts& parameter : searched(study)) names.push_back(parameter.name);
  for (const auto& name : names) text += " " + markdown_cell(name) + " |";
  text += "\n|---|---|---|---|---|" + std::string();
  for (std::size_t i = 0; i < study.further.size() + names.size(); ++i) text += "---|";
  text += "\n";
  for (std::size_t i = 0; i < study.trials.size(); ++i) {
    const TrialFacts& trial = study.trials[i];
    const bool best = study.best && *study.best == i;
    text += fmt::format("| {}{} | {} | {} | {} | {} |", trial.id, best ? " (best)" : "",
                        trial.metric ? fmt::format("{:.6g}", *trial.metric) : "-",
                        trial.metric ? std::to_string(trial.step) : "-", trial.state, markdown_cell(trial.reason));
    for (const std::string& metric : study.further) {
      const auto found = std::ranges::find(trial.further, metric, &FurtherFact::metric);
      text += found == trial.further.end() ? "  |" : fmt::format(" {:.6g} |", found->value);
    }
    for (const auto& name : names) {
      const Value* value = find_param(trial.params, name);
      text += " " + (value ? markdown_cell(to_text(*value)) : "") + " |";
    }
    text += "\n";
  }
  text += fmt::format("\nCost: {} steps, {} saved by stopping, {} tokens, {:.1f} s.\n", with_commas(study.steps),
                      with_commas(study.saved_steps), with_commas(study.tokens), study.seconds);
  text += markdown_profile(study) + importance_text(study);
  text += correlation_text(study) + markdown_stopping(study) + markdown_ablation(study) + markdown_samples(study);
  if (!study.provenance.empty()) text += "\nVersions, hashes, seeds:\n\n";
  for (const auto& [name, value] : study.provenance)
    text += "- " + markdown_cell(name) + ": " + markdown_cell(value) + "\n";
  const std::vector<NextStep> steps = next_steps(study);
  if (!steps.empty()) text += "\nNext:\n\n";
  for (const auto& [command, what] : steps) text += "    # " + what + "\n    " + markdown_cell(command) + "\n";
  return text;
}

}  // namespace finetune
