#include "report/profile.h"

#include "report/html/sections.h"
#include "report/html/text.h"

namespace finetune::html {

std::string profile_section(const ReportFacts& study) {
  if (!study.profile) return "";
  const ProfileFacts& profile = *study.profile;
  std::string html = "<p class=\"soft\">" + escape(profile_title(profile)) + "</p>";
  if (profile.steps == 0) return html;
  html += "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Parts of a step\"><table><thead><tr>";
  for (const char* name : kProfileColumns)
    html +=
        std::string("<th scope=\"col\"") + (name == kProfileColumns[0] ? "" : " class=\"n\"") + ">" + name + "</th>";
  html += "</tr></thead><tbody>";
  for (const PartFact& row : profile.rows) {
    html += "<tr><th scope=\"row\">" + escape(row.part) + "</th>";
    for (const std::string& cell : profile_cells(row)) html += "<td class=\"n\">" + escape(cell) + "</td>";
    html += "</tr>";
  }
  return html + "</tbody></table></div><p class=\"soft\">" + escape(profile_ceiling_text(profile)) + ".</p>";
}

}  // namespace finetune::html
