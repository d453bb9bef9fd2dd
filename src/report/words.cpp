#include "report/words.h"

#include <fmt/format.h>

#include <map>

#include "core/text.h"

namespace finetune {
namespace {

constexpr std::size_t kMostBytes = 600;

}  // namespace

std::string name_of(std::optional<std::int64_t> trial) {
  return trial ? fmt::format("trial {}", *trial) : "the default configuration";
}

std::string trials_text(std::size_t count) {
  return fmt::format("{} trial{}", with_commas(static_cast<long long>(count)), count == 1 ? "" : "s");
}

std::string states_text(const ReportFacts& study) {
  std::map<std::string, std::size_t> states;
  for (const TrialFacts& trial : study.trials) ++states[trial.state];
  const std::string text = trials_text(study.trials.size());
  if (states.size() == 1) return text + (study.trials.size() == 1 ? ", " : ", all ") + states.begin()->first;
  std::string list;
  for (const auto& [state, count] : states) list += fmt::format(", {} {}", count, state);
  return text + list;
}

std::string better_text(double low, double high) {
  if (low >= 0) return fmt::format("{:.3g} to {:.3g} better", low, high);
  if (high <= 0) return fmt::format("{:.3g} to {:.3g} worse", -high, -low);
  return fmt::format("{:.3g} worse to {:.3g} better", -low, high);
}

std::string last_look_text(const ReportFacts& study) {
  if (study.look_failure.empty()) return "";
  return "The last look at the best could not be had, so less is said of how sure this is: " + study.look_failure + ".";
}

std::string further_text(const TrialFacts& trial) {
  std::string text;
  for (const FurtherFact& fact : trial.further) {
    text += fmt::format("{}{} {:.5g}", text.empty() ? "" : ", ", fact.metric, fact.value);
    if (fact.step != trial.step) text += fmt::format(" (at step {})", fact.step);
  }
  return text;
}

std::string audit_text(const ReportFacts& study) {
  if (!study.audit) return "";
  const auto& [trials, won] = *study.audit;
  if (trials == 0)
    return "No stopped trial was drawn to run on to the end, so nothing is known of whether stopping was right.";
  const std::string begin = trials == 1 ? std::string("One stopped trial ran on to the end all the same, and it ")
                                        : fmt::format("{} stopped trials ran on to the end all the same, and ", trials);
  if (won == 0) return begin + (trials == 1 ? "would not have won." : "none of them would have won.");
  return begin + (trials == 1 ? "would have won" : fmt::format("{} of them would have won", won)) +
         ": stopping cost something here, so stop later or not at all.";
}

std::string rung_agreement_text(const ReportFacts& study) {
  if (!study.rung_agreement) return "";
  const double agreement = study.rung_agreement->spearman;
  const std::string& compared = study.rung_metric.empty() ? study.metric : study.rung_metric;
  const char* how = agreement >= 0.8 ? "ranks" : agreement >= 0.5 ? "ranks roughly" : "does not rank";
  const bool at_end = study.rung_agreement->early == study.rung_agreement->late;
  return fmt::format("{} {} {} trials as {} at the end{}: Spearman {:.2f} over {} trials.", compared,
                     at_end ? "at the end" : "at rungs", how, study.metric, agreement >= 0.5 ? "" : " does", agreement,
                     study.rung_agreement->trials);
}

std::string shortened(const std::string& text) {
  if (text.size() <= kMostBytes) return text;
  std::size_t end = kMostBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // within a character
  return text.substr(0, end) + " [...]";
}

}  // namespace finetune
