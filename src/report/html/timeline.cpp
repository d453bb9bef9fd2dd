#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "report/html/plot.h"
#include "report/html/sections.h"
#include "report/html/text.h"
#include "report/words.h"

namespace finetune::html {
namespace {

const char* span_style(const ReportFacts& study, std::size_t trial) {
  const std::string& state = study.trials[trial].state;
  if (is_best(study, trial)) return "span best";
  return state == "failed" ? "span failed" : state == "stopped" ? "span stopped" : "span";
}

std::string span_legend(const ReportFacts& study) {
  std::string html = "<ul class=\"legend\">";
  for (const auto& [style, name] : {std::pair("span best", "the best trial"), std::pair("span", "other trials"),
                                    std::pair("span stopped", "stopped"), std::pair("span failed", "failed")}) {
    bool any = false;
    for (std::size_t i = 0; i < study.trials.size(); ++i) any = any || std::string_view(style) == span_style(study, i);
    if (any) html += fmt::format("<li><i class=\"key {}\"></i>{}</li>", style + 4, name);
  }
  return html + "</ul>";
}

}  // namespace

std::string timeline_section(const ReportFacts& study) {
  std::int64_t last = 0;
  for (const TrialFacts& trial : study.trials) {
    for (const RoundFacts& span : trial.rounds) last = std::max(last, span.last);
  }
  if (last == 0) return "";
  const auto count = static_cast<double>(study.trials.size());
  Plot plot{.label = fmt::format("In which of {} rounds each of {} stepped", last, trials_text(study.trials.size())),
            .x_title = "round",
            .y_title = "trial",
            .height = static_cast<int>(std::clamp(14 * count, 80.0, 520.0)),
            .x = Scale(0, static_cast<double>(last)),
            .y = Scale(-count, 0)};  // the first trial on top
  plot.x_ticks = plot.x.whole_ticks(6);
  plot.grid_x = true;
  const std::size_t every = label_every(study.trials.size());
  double running = 0;
  std::string best;
  for (std::size_t i = 0; i < study.trials.size(); ++i) {
    const TrialFacts& trial = study.trials[i];
    const double row = -(static_cast<double>(i) + 0.5);
    if (i % every == 0) plot.y_ticks.push_back({plot.y.at(row), std::to_string(trial.id)});
    for (const RoundFacts& span : trial.rounds) {
      running += static_cast<double>(span.last) - static_cast<double>(span.first) + 1;
      (is_best(study, i) ? best : plot.marks) +=
          line(plot, {{static_cast<double>(span.first - 1), row}, {static_cast<double>(span.last), row}}, trial.id,
               span_style(study, i));
    }
  }
  plot.marks += best;  // over its neighbours, where rows are thin
  const char* thickness = count <= 37 ? "thick" : count <= 130 ? "" : "thin";
  return fmt::format(
             "<p class=\"soft\">A round is one optimizer step of every running trial; on average {:.3g} ran side by "
             "side. A gap is a pause, or a wait for the tuner's answer.</p>",
             running / static_cast<double>(last)) +
         span_legend(study) + "<div class=\"" + thickness + "\">" + draw(plot) + "</div>";
}

}  // namespace finetune::html
