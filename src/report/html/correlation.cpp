#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "report/html/sections.h"
#include "report/html/text.h"
#include "report/parameters.h"
#include "report/words.h"

namespace finetune::html {
namespace {

const CorrelationFact* find(const ReportFacts& study, std::int64_t early, std::int64_t late) {
  const auto is = [&](const CorrelationFact& fact) { return fact.early == early && fact.late == late; };
  const auto found = std::ranges::find_if(study.correlations, is);
  return found == study.correlations.end() ? nullptr : &*found;
}

std::size_t evaluated_at(const ReportFacts& study, std::int64_t step) {
  const auto is = [&](const TrialFacts& trial) { return metric_at(trial, step).has_value(); };
  return static_cast<std::size_t>(std::ranges::count_if(study.trials, is));
}

// What the earliest comparison says of the latest. Those that went on are a narrower field than all, in which ranks
// correlate less.
std::string in_words(const ReportFacts& study, std::int64_t first, std::int64_t last) {
  const CorrelationFact* fact = find(study, first, last);
  if (fact == nullptr)
    return fmt::format("Fewer than five trials were evaluated at both step {} and step {}.", first, last);
  const bool narrow = 3 * fact->trials < 2 * evaluated_at(study, first);
  const char* meaning = "early values do not say who is best at the end: raise min_steps, or stop nobody";
  if (fact->spearman >= 0.8)
    meaning = "the order is known early, so stopping is safe here";
  else if (narrow)
    meaning = study.audit && study.audit->trials > 0
                  ? "of those that were stopped in between the ones that ran on say more"
                  : "those that were stopped in between would have to run on to say whether that was fair";
  else if (fact->spearman >= 0.5)
    meaning = "early values say something of the end, not all: stop late rather than early";
  return fmt::format("Of the {} trials evaluated at step {} and at step {}, ranks correlate by {:.2f}: {}.",
                     fact->trials, first, last, fact->spearman, meaning);
}

std::string table_of(const ReportFacts& study) {
  // In a population whoever falls behind gets the weights of another: its ranks say nothing of stopping.
  const auto copied = [](const TrialFacts& trial) { return !trial.lineage.empty(); };
  if (study.correlations.empty() || std::ranges::any_of(study.trials, copied)) return "";
  std::set<std::int64_t> early, late;
  for (const CorrelationFact& fact : study.correlations) {
    early.insert(fact.early);
    late.insert(fact.late);
  }
  std::string html = "<p>" + in_words(study, *early.begin(), *late.rbegin()) +
                     "</p><p class=\"soft\">Rank correlation (Spearman) of " + escape(study.metric) +
                     " at two steps, and of how many trials. Those that were stopped in between are not in it: they "
                     "were the worse ones, so over all trials it may well be higher.</p>"
                     "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Rank correlations\"><table "
                     "class=\"tight\"><thead><tr><th "
                     "scope=\"col\">step</th>";
  for (const std::int64_t step : late) html += fmt::format("<th scope=\"col\" class=\"n\">{}</th>", step);
  html += "</tr></thead><tbody>";
  for (const std::int64_t step : early) {
    html += fmt::format("<tr><th scope=\"row\">{}</th>", step);
    for (const std::int64_t other : late) {
      const CorrelationFact* fact = find(study, step, other);
      html += fact == nullptr
                  ? "<td></td>"
                  : fmt::format("<td class=\"n\">{:.2f} <small>of {}</small></td>", fact->spearman, fact->trials);
    }
    html += "</tr>";
  }
  return html + "</tbody></table></div>";
}

}  // namespace

std::string correlation_section(const ReportFacts& study) {
  std::string html;
  for (const std::string& sentence : {audit_text(study), rung_agreement_text(study)})
    html += sentence.empty() ? "" : "<p>" + escape(sentence) + "</p>";
  return html + table_of(study);
}

}  // namespace finetune::html
