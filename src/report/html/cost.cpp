#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/text.h"
#include "report/html/sections.h"
#include "report/html/text.h"

namespace finetune::html {

std::string cost_section(const ReportFacts& study) {
  std::map<std::string, std::size_t> states;
  for (const TrialFacts& trial : study.trials) ++states[trial.state];
  const auto card = [](const std::string& value, const std::string& what) {
    return "<li><b>" + value + "</b> <span>" + what + "</span></li>";
  };
  const auto whole = static_cast<double>(study.steps) + static_cast<double>(study.saved_steps);
  std::string html = "<ul class=\"cards\">" + card(duration_text(study.seconds), "time");
  if (study.evaluation_seconds) html += card(duration_text(*study.evaluation_seconds), "of it in evaluations");
  html += card(with_commas(study.steps), "optimizer steps") + card(with_commas(study.tokens), "tokens") +
          card(with_commas(static_cast<long long>(static_cast<double>(study.tokens) / std::max(1e-9, study.seconds))),
               "tokens a second");
  if (study.saved_steps > 0)
    html += card(with_commas(study.saved_steps),
                 fmt::format("steps saved by stopping: {} of what all trials to the end would have taken",
                             percent(static_cast<double>(study.saved_steps) / std::max(1.0, whole))));
  html += "</ul><p>";
  std::string list;
  for (const auto& [state, count] : states)
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", count, escape(state));
  return html + fmt::format("{} trials: {}.</p>", study.trials.size(), list.empty() ? "none" : list);
}

}  // namespace finetune::html
