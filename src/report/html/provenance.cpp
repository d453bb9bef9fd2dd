#include "report/html/sections.h"
#include "report/html/text.h"

namespace finetune::html {

std::string provenance_section(const ReportFacts& study) {
  std::vector<std::pair<std::string, std::string>> rows = study.provenance;
  if (rows.empty() && !study.version.empty()) rows.emplace_back("finetune_tune", study.version);
  if (rows.empty()) return "";
  std::string html =
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Versions, hashes, seeds\"><table "
      "class=\"facts\"><tbody>";
  for (const auto& [name, value] : rows)
    html += "<tr><th scope=\"row\">" + escape(name) + "</th><td>" + escape(value) + "</td></tr>";
  return html + "</tbody></table></div>";
}

}  // namespace finetune::html
