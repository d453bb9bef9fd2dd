// What is said in words.
#include <fmt/format.h>

#include <cmath>

#include "report/certainty.h"
#include "report/facts.h"
#include "report/failures.h"

namespace finetune {
namespace {

// Whether what the best is ahead by means anything. Where neither seeds nor examples were measured, little is little.
std::string on_lead_over_default(const ReportFacts& study, double relative) {
  const Standing standing = standing_against(study, std::nullopt);
  const bool little = standing.known() ? !standing.sure() : relative < 0.005;
  if (little)
    return fmt::format(" That is within what {} may change: do not read much into it.",
                       standing.known() ? chance_text(standing) : "another seed");
  const ComparisonFact* comparison = comparison_with(study, std::nullopt);
  if (comparison != nullptr)
    return fmt::format(" Over other validation examples it would be {:.3g} to {:.3g} better (95 %).", comparison->low,
                       comparison->high);
  return standing.known() ? " That is more than other seeds change." : "";
}

std::string on_baselines(const ReportFacts& study) {
  const TrialFacts& best = study.trials[*study.best];
  const double sign = study.direction == Direction::minimize ? 1 : -1;
  // What other seeds gave is what can be expected; its own metric is what it was chosen for.
  const ConfirmedFact* confirmed = confirmed_of(study, best.id);
  const double metric = confirmed != nullptr ? confirmed->mean : *best.metric;
  std::string text;
  const bool base_is_better = study.base_metric && sign * (*study.base_metric - metric) <= 0;
  if (study.base_metric)
    text += fmt::format(" The untouched base has {:.5g}{}.", *study.base_metric,
                        base_is_reference(study) ? ", being its own reference" : "");
  if (base_is_better) text += " Training did not improve it: look at learning rates, steps and data.";
  if (!study.default_failure.empty()) text += " The default configuration failed: " + study.default_failure + ".";
  if (!study.default_metric) return text;
  const double gain = sign * (*study.default_metric - metric);
  text += fmt::format(" The default configuration reaches {:.5g}", *study.default_metric);
  const double relative = std::fabs(*study.default_metric) > 0 ? gain / std::fabs(*study.default_metric) : 0;
  if (gain <= 0)
    return text + (base_is_better ? "."
                   : confirmed != nullptr
                       ? ", which the best does not beat with other seeds: use the defaults, or search longer."
                       : ", which no trial beats: use the defaults, or search longer.");
  const double percent = 100 * relative;
  text += fmt::format("; the best{} is {} % {}.", confirmed != nullptr ? ", over the other seeds," : "",
                      percent < 100 ? fmt::format("{:.2g}", percent) : fmt::format("{:.0f}", percent),
                      study.direction == Direction::minimize ? "below" : "above");
  return text + on_lead_over_default(study, relative);
}

std::string parts_text(const TrialFacts& best) {
  std::string text;
  for (const auto& [name, loss] : best.part_losses)
    text += fmt::format("{}{} {:.5g}", text.empty() ? "" : ", ", name, loss);
  return text.empty() ? "" : " Its loss by part of the validation data: " + text + ".";
}

std::string on_winner(const ReportFacts& study) {
  if (!study.best) return "No trial was evaluated, so there is no winner.";
  const TrialFacts& best = study.trials[*study.best];
  return fmt::format("Trial {} is best: {} = {:.5g} at step {}.", best.id, study.metric, *best.metric, best.step) +
         parts_text(best) + seeds_text(study) + first_three_text(study) + on_baselines(study) + test_text(study);
}

}  // namespace

std::string verdict(const ReportFacts& study) {
  const std::string hint = failure_hint(study);
  if (all_failed(study)) return "Every trial failed, so there is no winner: " + hint + ".";
  return on_winner(study) + (hint.empty() ? "" : " " + hint + ".");
}

}  // namespace finetune
