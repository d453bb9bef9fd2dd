#include "report/markdown_trust.h"

#include <fmt/format.h>

#include <cmath>

#include "core/text.h"
#include "report/certainty.h"
#include "report/hints.h"
#include "report/words.h"

namespace finetune {
namespace {

std::string figure(const std::optional<double>& value) {
  return value ? fmt::format("{:.6g}", *value) : "failed";
}

// Indented, so that nothing in it is markup.
std::string block(const std::string& title, const std::string& text) {
  std::string out = title + ":\n\n    ";
  for (const char c : shortened(std::string(trim(text)))) {
    if (c == '\r') continue;
    out += c;
    if (c == '\n') out += "    ";
  }
  return out + "\n\n";
}

std::string seeds_table(const ReportFacts& study) {
  if (study.confirmed.empty()) return "";
  std::string text = "\n| trial | mean over further seeds | standard error | by seed |\n|---|---|---|---|\n";
  for (const ConfirmedFact& fact : study.confirmed) {
    std::string metrics;
    for (const double metric : fact.metrics) metrics += fmt::format("{}{:.6g}", metrics.empty() ? "" : ", ", metric);
    text += fmt::format("| {} | {:.6g} | {} | {} |\n", fact.trial, fact.mean,
                        fact.standard_error ? fmt::format("{:.2g}", *fact.standard_error) : "-", metrics);
  }
  return text;
}

std::string examples_list(const ReportFacts& study) {
  if (study.comparisons.empty()) return "";
  std::string text = "\nOver validation examples drawn again and again the winner is better, in " +
                     markdown_cell(study.metric) + ":\n\n";
  for (const ComparisonFact& fact : study.comparisons)
    text += fmt::format("- than {}: by {:.4g}, 95 % interval {:.4g} to {:.4g} ({} examples)\n", name_of(fact.other),
                        fact.difference, fact.low, fact.high, fact.examples);
  return text;
}

std::string test_table(const ReportFacts& study) {
  if (!study.test) return "";
  return fmt::format(
      "\n| on test data | {} |\n|---|---|\n| best | {} |\n| default configuration | {} |\n| untouched base | {} |\n",
      markdown_cell(study.metric), figure(study.test->best), figure(study.test->default_run), figure(study.test->base));
}

}  // namespace

std::string markdown_cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out;
}

std::string markdown_hints(const ReportFacts& study) {
  std::string text;
  for (const auto& [hint, evidence] : hints_to_show(study))
    text += "- " + markdown_cell(hint) + " (" + markdown_cell(evidence) + ")\n";
  return text.empty() ? "" : "Hints:\n\n" + text + "\n";
}

std::string markdown_certainty(const ReportFacts& study) {
  const std::string text = seeds_table(study) + examples_list(study) + test_table(study);
  const std::string confirmation =
      study.confirmation.empty() ? "" : "The best were " + markdown_cell(study.confirmation) + ".\n";
  return text.empty() && confirmation.empty() ? "" : "How sure:\n\n" + confirmation + text + "\n";
}

std::string markdown_stopping(const ReportFacts& study) {
  std::string text;
  for (const std::string& sentence : {audit_text(study), rung_agreement_text(study)})
    text += sentence.empty() ? "" : "\n" + markdown_cell(sentence) + "\n";
  return text;
}

std::string markdown_ablation(const ReportFacts& study) {
  if (study.ablation.empty()) return "";
  std::string text = "\nFrom the default configuration to the best, one change at a time:\n\n| change | " +
                     markdown_cell(study.metric) + " |\n|---|---|\n";
  for (const AblationFact& fact : study.ablation)
    text += "| " +
            (fact.parameter.empty() ? "default configuration"
                                    : markdown_cell(fact.parameter + " = " + to_text(fact.value))) +
            " | " + figure(fact.metric) + " |\n";
  return text;
}

std::string markdown_profile(const ReportFacts& study) {
  if (!study.profile) return "";
  std::string text = "\n" + markdown_cell(profile_title(*study.profile)) + "\n";
  if (study.profile->steps == 0) return text;
  std::string heading = "\n|", rule = "|";
  for (const char* name : kProfileColumns) {
    heading += std::string(" ") + name + " |";
    rule += "---|";
  }
  text += heading + "\n" + rule + "\n";
  for (const PartFact& row : study.profile->rows)
    text += "| " + markdown_cell(row.part) + " | " + join(profile_cells(row), " | ") + " |\n";
  return text + "\n" + profile_ceiling_text(*study.profile) + ".\n";
}

std::string markdown_samples(const ReportFacts& study) {
  if (study.samples.empty()) return "";
  std::string text = "\nSample outputs, base against best:\n\n";
  for (std::size_t i = 0; i < study.samples.size(); ++i) {
    const SampleFact& sample = study.samples[i];
    text += block(fmt::format("Prompt {}", i + 1), sample.prompt) + block("Reference", sample.reference) +
            block("Base", sample.base) + block("Best", sample.best);
  }
  return text;
}

}  // namespace finetune
