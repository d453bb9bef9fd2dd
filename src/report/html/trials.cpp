#include <fmt/format.h>

#include <algorithm>

#include "report/html/sections.h"
#include "report/html/text.h"
#include "report/parameters.h"

namespace finetune::html {
namespace {

constexpr const char* kFirstColumns[] = {"trial", "state"};

// Ends of cells and rows are left out, as HTML allows: with a thousand trials they would be a third of the page.
std::string number_cell(const std::string& text) {
  return "<td class=n>" + text;
}

std::string row(const ReportFacts& study, std::size_t index, const std::vector<ParameterFacts>& search) {
  const TrialFacts& trial = study.trials[index];
  std::string html = fmt::format("<tr data-t={0}{1}><th scope=row>{0}<td>{2}", trial.id,
                                 is_best(study, index) ? " class=best" : "", escape(trial.state));
  html += number_cell(trial.metric ? fmt::format("{:.6g}", *trial.metric) : "");
  html += number_cell(trial.metric ? std::to_string(trial.step) : "") + number_cell(std::to_string(trial.steps));
  for (const std::string& metric : study.further) {
    const auto found = std::ranges::find(trial.further, metric, &FurtherFact::metric);
    html += number_cell(found == trial.further.end() ? "" : fmt::format("{:.6g}", found->value));
  }
  for (const ParameterFacts& parameter : search) {
    const Value* value = find_param(trial.params, parameter.name);
    html += number_cell(value != nullptr ? short_value(*value) : "");
  }
  return html + "<td class=reason>" + escape(trial.reason) + "\n";
}

std::string column(const std::string& name, bool number) {
  return fmt::format("<th scope=\"col\"{}><button type=\"button\">{}</button></th>", number ? " class=\"n\"" : "",
                     escape(name));
}

std::string controls(const ReportFacts& study) {
  std::vector<std::string> states;
  for (const TrialFacts& trial : study.trials) {
    if (std::ranges::find(states, trial.state) == states.end()) states.push_back(trial.state);
  }
  std::string html =
      "<form class=\"controls\" hidden><label>Find <input type=\"search\" name=\"text\" autocomplete=\"off\"></label> "
      "<label>State "
      "<select name=\"state\"><option value=\"\">all</option>";
  for (const std::string& state : states) html += "<option>" + escape(state) + "</option>";
  return html + "</select></label> <output></output></form>";
}

}  // namespace

std::string trials_section(const ReportFacts& study) {
  if (study.trials.empty()) return "";
  const std::vector<ParameterFacts> search = searched(study);
  std::string html =
      controls(study) +
      "<div class=\"scroll tall\" tabindex=\"0\" role=\"region\" aria-label=\"All trials\"><table id=\"all\"><caption "
      "class=\"unseen\">All trials; a column's button sorts by it, arrow keys go from row to row</caption>"
      "<thead><tr>";
  for (const char* name : kFirstColumns) html += column(name, false);
  html += column(study.metric, true) + column("at step", true) + column("steps", true);
  for (const std::string& metric : study.further) html += column(metric, true);
  for (const ParameterFacts& parameter : search) html += column(parameter.name, true);
  html += column("reason", false) + "</tr></thead><tbody>\n";
  for (std::size_t i = 0; i < study.trials.size(); ++i) html += row(study, i, search);
  html += "</tbody></table></div>";
  if (!study.further.empty())
    html += "<p class=\"soft\">Further metrics are of the step at which " + escape(study.metric) +
            " stands, or of the last at which they were measured.</p>";
  return html;
}

}  // namespace finetune::html
