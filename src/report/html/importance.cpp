#include <fmt/format.h>

#include <algorithm>

#include "report/html/sections.h"
#include "report/html/text.h"

namespace finetune::html {
namespace {

constexpr std::size_t kMostPairs = 10;
constexpr double kLeastShare = 0.01;

std::string bar(double share) {
  return fmt::format(
      "<td class=\"n\">{}</td><td class=\"wide\" aria-hidden=\"true\"><div class=\"bar\" "
      "style=\"width:{:.1f}%\"></div></td>",
      percent(share), 100 * std::clamp(share, 0.0, 1.0));
}

}  // namespace

std::string importance_section(const ReportFacts& study) {
  if (study.importance.empty()) return "";
  double all = 0;
  for (const ImportanceFact& fact : study.importance) all += fact.ped_anova;
  std::string html =
      "<p class=\"soft\">" + escape(study.metric) + " " + compared_text(study) +
      ". fANOVA: the share of its variance over the whole search that a parameter makes on its own. PED-ANOVA: how "
      "much it took to be among the best tenth, of all parameters' sum. Rough with few trials.</p>"
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Importance\"><table><thead><tr><th "
      "scope=\"col\">parameter</th><th scope=\"col\" "
      "class=\"n\">fANOVA</th><td class=\"wide\"></td><th scope=\"col\" class=\"n\">PED-ANOVA</th><td "
      "class=\"wide\"></td><th scope=\"col\" "
      "class=\"n\">trials</th>"
      "</tr></thead><tbody>";
  for (const ImportanceFact& fact : study.importance)
    html += "<tr><th scope=\"row\">" + dotted_name(fact.parameter) + "</th>" + bar(fact.share) +
            bar(all > 0 ? fact.ped_anova / all : 0) + fmt::format("<td class=\"n\">{}</td></tr>", fact.trials);
  return html + "</tbody></table></div>";
}

std::string interactions_section(const ReportFacts& study) {
  std::string rows;
  std::size_t count = 0;
  for (const InteractionFact& pair : study.interactions) {
    if (pair.share < kLeastShare || ++count > kMostPairs) break;  // largest first
    rows += "<tr><th scope=\"row\">" + dotted_name(pair.first) + " and " + dotted_name(pair.second) + "</th>" +
            bar(pair.share) + "</tr>";
  }
  if (rows.empty()) return "";
  return "<p class=\"soft\">The share of the variance that two parameters make together, beyond what each does alone "
         "(fANOVA, the six that mattered most, two by two): tune such a pair together.</p>"
         "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Interactions\"><table><thead><tr><th "
         "scope=\"col\">parameters</th><th "
         "scope=\"col\" class=\"n\">share</th><td class=\"wide\"></td></tr></thead><tbody>" +
         rows + "</tbody></table></div>";
}

}  // namespace finetune::html
