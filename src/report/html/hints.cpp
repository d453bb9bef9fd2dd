#include "report/hints.h"

#include "report/html/sections.h"
#include "report/html/text.h"

namespace finetune::html {

std::string hints_section(const ReportFacts& study) {
  std::string rows;
  for (const auto& [text, evidence] : hints_to_show(study))
    rows += "<li>" + escape(text) + " <span class=\"soft\">" + escape(evidence) + ".</span></li>";
  return rows.empty() ? "" : "<ul class=\"hints\">" + rows + "</ul>";
}

}  // namespace finetune::html
