#include <nlohmann/json.hpp>

#include "python/bindings.h"
#include "report/facts.h"
#include "study/run_folder.h"

namespace finetune::python {

void bind_results(nb::module_& module) {
  module.def(
      "report", [](const std::string& folder) { return report_json(read_report(folder)).dump(); }, nb::arg("folder"),
      "The report of a finished study, as `report --json` prints it.");
  module.def(
      "report_text", [](const std::string& folder) { return report_text(read_report(folder)); }, nb::arg("folder"),
      "The same as lines for people.");
  module.def(
      "report_page",
      [](const std::string& folder, const std::string& section) { return report_html(read_report(folder), section); },
      nb::arg("folder"), nb::arg("section"), "One section of the report's page as a page of its own; \"\": all of it.");
}

}  // namespace finetune::python
