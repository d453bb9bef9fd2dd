#include <fmt/format.h>

#include <cmath>

#include "core/text.h"
#include "report/html/sections.h"
#include "report/html/text.h"

namespace finetune::html {
namespace {

// The best of the others, of as many steps where there is one.
std::optional<std::size_t> runner_up(const ReportFacts& study) {
  std::optional<std::size_t> second;
  const auto minimized = [&](std::size_t i) { return to_minimized(*study.trials[i].metric, study.direction); };
  for (std::size_t i = 0; i < study.trials.size(); ++i) {
    const TrialFacts& trial = study.trials[i];
    if (is_best(study, i) || !trial.metric || trial.state == "failed") continue;
    if (!second || minimized(i) < minimized(*second)) second = i;
  }
  return second;
}

std::string card(const std::string& value, const std::string& what, bool best = false) {
  return fmt::format("<li{}><b>{}</b> <span>{}</span></li>", best ? " class=\"best\"" : "", value, what);
}

std::string figures(const ReportFacts& study) {
  const TrialFacts& best = study.trials[*study.best];
  std::string html = "<ul class=\"cards\">" +
                     card(short_number(*best.metric),
                          fmt::format("best {}, trial {} at step {}", escape(study.metric), best.id, best.step), true);
  if (study.default_metric) html += card(short_number(*study.default_metric), "default configuration");
  if (study.base_metric) html += card(short_number(*study.base_metric), "untouched base");
  if (const auto second = runner_up(study)) {
    const TrialFacts& next = study.trials[*second];
    html += card(short_number(*next.metric), fmt::format("runner-up, trial {} at step {}", next.id, next.step));
  }
  return html + "</ul>";
}

// One seed and one validation set: what is known of how sure the choice is.
std::string confidence(const ReportFacts& study) {
  const auto second = runner_up(study);
  if (!second) return "";
  const TrialFacts& best = study.trials[*study.best];
  const double gap = std::fabs(*best.metric - *study.trials[*second].metric),
               relative = gap / std::max(1e-300, std::fabs(*best.metric));
  return fmt::format("<p>How sure: every number is one run of one seed. The runner-up is {} behind ({}){}.</p>",
                     short_number(gap), percent(relative),
                     relative < 0.005 ? ", which another seed may turn around: take whichever is cheaper to run" : "");
}

std::string parameters(const ReportFacts& study) {
  const TrialFacts& best = study.trials[*study.best];
  if (best.params.empty()) return "";
  std::string html =
      "<table class=\"short\"><caption>The winning configuration</caption><thead><tr><th scope=\"col\">parameter"
      "</th><th scope=\"col\" class=\"n\">best</th><th scope=\"col\" class=\"n\">default</th></tr></thead><tbody>";
  for (const auto& [name, value] : best.params) {
    const Value* standard = find_param(study.default_params, name);
    html += "<tr><th scope=\"row\">" + escape(name) + "</th><td class=\"n\">" + short_value(value) +
            "</td><td class=\"n\">" + (standard != nullptr ? short_value(*standard) : "") + "</td></tr>";
  }
  return html + "</tbody></table>";
}

std::string commands(const ReportFacts& study) {
  const std::vector<NextStep> steps = next_steps(study);
  if (steps.empty()) return "";
  std::string html = "<h3>Use it</h3>";
  for (const auto& [command, what] : steps)
    html += "<p class=\"what\">" + escape(what) + "</p><pre>" + escape(command) + "</pre>";
  return html;
}

}  // namespace

bool is_best(const ReportFacts& study, std::size_t trial) {
  return study.best && *study.best == trial;
}

std::string winner_section(const ReportFacts& study) {
  std::string html = "<p class=\"verdict\">" + escape(verdict(study)) + "</p>";
  if (study.best) html += figures(study) + confidence(study);
  html += commands(study);
  return study.best ? html + parameters(study) : html;
}

}  // namespace finetune::html
