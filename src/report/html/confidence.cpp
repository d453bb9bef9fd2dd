#include <fmt/format.h>

#include <algorithm>

#include "report/certainty.h"
#include "report/html/sections.h"
#include "report/html/text.h"
#include "report/words.h"

namespace finetune::html {
namespace {

std::string begin_table(const char* caption, std::initializer_list<const char*> columns) {
  std::string html = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table class=\"short\"><caption>{0}"
      "</caption><thead><tr>",
      caption);
  const char* style = "";
  for (const char* column : columns) {
    html += fmt::format("<th scope=\"col\"{}>{}</th>", style, column);
    style = " class=\"n\"";
  }
  return html + "</tr></thead><tbody>";
}

std::string figure_cell(const std::string& text) {
  return "<td class=\"n whole\">" + text + "</td>";
}

std::string over_seeds(const ReportFacts& study) {
  if (study.confirmed.empty()) return "";
  const auto has_error = [](const ConfirmedFact& fact) { return fact.standard_error.has_value(); };
  const bool errors = std::ranges::any_of(study.confirmed, has_error);  // a single seed has none
  std::string html = errors ? begin_table("Over further seeds", {"trial", "mean", "standard error", "by seed"})
                            : begin_table("With another seed", {"trial", "mean", "by seed"});
  for (const ConfirmedFact& fact : study.confirmed) {
    std::string metrics;
    for (const double metric : fact.metrics) metrics += (metrics.empty() ? "" : ", ") + short_number(metric);
    html += fmt::format("<tr data-t={0}{1}><th scope=\"row\">{0}</th>", fact.trial,
                        study.best && study.trials[*study.best].id == fact.trial ? " class=best" : "");
    html += figure_cell(short_number(fact.mean));
    if (errors) html += figure_cell(fact.standard_error ? fmt::format("{:.2g}", *fact.standard_error) : "");
    html += "<td class=\"n\">" + metrics + "</td></tr>";
  }
  return html + "</tbody></table></div>";
}

std::string over_examples(const ReportFacts& study) {
  if (study.comparisons.empty()) return "";
  std::string html =
      begin_table("By what the winner is better, over other validation examples", {"than", "by", "95 % interval"});
  for (const ComparisonFact& fact : study.comparisons)
    html += "<tr><th scope=\"row\">" + name_of(fact.other) + "</th>" + figure_cell(short_number(fact.difference)) +
            figure_cell(short_number(fact.low) + " to " + short_number(fact.high)) + "</tr>";
  return html +
         fmt::format(
             "</tbody></table></div><p class=\"soft\">{} by the same {} examples, drawn again and again (paired "
             "bootstrap). Above 0 the winner is better, below it the other. Trials were chosen by these examples, so "
             "a lead on new ones is rather smaller.</p>",
             escape(study.metric), study.comparisons.front().examples);
}

}  // namespace

std::string confidence_tables(const ReportFacts& study) {
  const std::string tables = over_seeds(study) + over_examples(study);
  if (tables.empty()) return "";
  const std::string confirmation = study.confirmation.empty() ? "" : " " + escape(study.confirmation) + ".";
  return "<h3>How sure</h3>" + (confirmation.empty() ? "" : "<p class=\"soft\">The best were" + confirmation + "</p>") +
         tables;
}

}  // namespace finetune::html
