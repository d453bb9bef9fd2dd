#include <fmt/format.h>

#include <cmath>

#include "core/text.h"
#include "report/html/sections.h"
#include "report/html/text.h"
#include "report/words.h"

namespace finetune::html {
namespace {

struct RunnerUp {
  const TrialFacts* trial;
  bool completed;  // as the winner was, so that they may be compared
};

// The best of the others: of those that completed, where there is one.
std::optional<RunnerUp> runner_up(const ReportFacts& study) {
  std::optional<RunnerUp> second;
  const auto minimized = [&](const TrialFacts& trial) { return to_minimized(*trial.metric, study.direction); };
  for (const bool completed : {true, false}) {
    for (std::size_t i = 0; i < study.trials.size(); ++i) {
      const TrialFacts& trial = study.trials[i];
      if (is_best(study, i) || !trial.metric || trial.state == "failed") continue;
      if (completed && trial.state != "completed") continue;
      if (!second || minimized(trial) < minimized(*second->trial)) second = RunnerUp{&trial, completed};
    }
    if (second) break;
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
  if (study.base_metric)
    html += card(short_number(*study.base_metric),
                 base_is_reference(study) ? "untouched base, its own reference" : "untouched base");
  if (const auto second = runner_up(study)) {
    // With confirmation the winner is the best mean over seeds, not the best of the search.
    const bool ahead =
        to_minimized(*second->trial->metric, study.direction) < to_minimized(*best.metric, study.direction);
    html += card(short_number(*second->trial->metric), fmt::format("{}, trial {} at step {}",
                                                                   ahead ? "ahead in the search, not over other seeds"
                                                                   : second->completed ? "runner-up"
                                                                                       : "best of the stopped",
                                                                   second->trial->id, second->trial->step));
  }
  html += "</ul>";
  if (const std::string further = further_text(best); !further.empty())
    html += "<p>Further metrics of trial " + std::to_string(best.id) + ": " + escape(further) + ".</p>";
  return html;
}

// Where neither seeds nor examples were measured: what one seed and one validation set say of how sure the choice is.
std::string confidence(const ReportFacts& study) {
  if (const std::string tables = confidence_tables(study); !tables.empty()) return tables;
  const auto second = runner_up(study);
  if (!second) return "";
  const std::string begin = "<p>How sure: every number is one run of one seed. ";
  if (!second->completed) return begin + "No other trial completed, so nothing of as many steps stands beside it.</p>";
  const TrialFacts& best = study.trials[*study.best];
  const double gap = std::fabs(*best.metric - *second->trial->metric),
               relative = gap / std::max(1e-300, std::fabs(*best.metric));
  if (gap == 0) return begin + "The runner-up is as good.</p>";
  const char* caution =
      relative < 0.005 ? ", which another seed may turn around: take whichever is cheaper to run" : "";
  return begin + fmt::format("The runner-up is {} behind ({}){}.</p>", short_number(gap), percent(relative), caution);
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
  std::string html =
      fmt::format("<p class=\"verdict{}\">{}</p>", all_failed(study) ? " failed" : "", escape(verdict(study)));
  if (study.best) html += figures(study) + confidence(study);
  html += commands(study);
  return study.best ? html + parameters(study) : html;
}

}  // namespace finetune::html
