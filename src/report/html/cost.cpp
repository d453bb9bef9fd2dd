#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "core/text.h"
#include "report/html/sections.h"
#include "report/html/text.h"
#include "report/words.h"

namespace finetune::html {

std::string cost_section(const ReportFacts& study) {
  const auto card = [](const std::string& value, const std::string& what) {
    return "<li><b>" + value + "</b> <span>" + what + "</span></li>";
  };
  const auto whole = static_cast<double>(study.steps) + static_cast<double>(study.saved_steps);
  std::string html = "<ul class=\"cards\">" + card(duration_text(study.seconds), "time");
  if (study.evaluation_seconds) html += card(duration_text(*study.evaluation_seconds), "of it in evaluations");
  html += card(with_commas(study.steps), "optimizer steps of the trials") + card(with_commas(study.tokens), "tokens") +
          card(with_commas(static_cast<long long>(static_cast<double>(study.tokens) / std::max(1e-9, study.seconds))),
               "tokens a second");
  if (study.saved_steps > 0) html += card(with_commas(study.saved_steps), "steps saved by stopping");
  html += "</ul><p>" + escape(states_text(study)) + ".";
  if (study.saved_steps > 0)
    html += fmt::format(" Stopping saved {} of the steps that all trials to their end would have taken.",
                        percent(static_cast<double>(study.saved_steps) / std::max(1.0, whole)));
  return html + "</p>";
}

}  // namespace finetune::html
