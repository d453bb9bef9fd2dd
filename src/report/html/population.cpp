#include <fmt/format.h>

#include <algorithm>

#include "report/html/plot.h"
#include "report/html/sections.h"
#include "report/html/text.h"
#include "report/lineage.h"

namespace finetune::html {
namespace {

double row_of(std::size_t trial) {
  return -(static_cast<double>(trial) + 0.5);
}

std::string copies(const ReportFacts& study, const Plot& plot) {
  std::string marks;
  for (std::size_t i = 0; i < study.trials.size(); ++i) {
    for (const LineageFact& event : study.trials[i].lineage) {
      if (!event.copy_of) continue;
      const auto donor = std::ranges::find(study.trials, *event.copy_of, &TrialFacts::id);
      if (donor == study.trials.end()) continue;
      const auto step = static_cast<double>(event.step);
      const double from = row_of(static_cast<std::size_t>(donor - study.trials.begin()));
      marks += line(plot, {{step, from}, {step, row_of(i)}}, study.trials[i].id, "copy");
      marks += dot(plot, step, row_of(i), study.trials[i].id, "dot copied");
    }
  }
  return marks;
}

std::string descent(const ReportFacts& study) {
  std::int64_t last = 1;
  for (const TrialFacts& trial : study.trials) last = std::max(last, trial.steps);
  const auto count = static_cast<double>(study.trials.size());
  Plot plot{.label = "Which trial took the weights of which, and the way of the best ones",
            .x_title = "step",
            .y_title = "trial",
            .height = static_cast<int>(std::clamp(18 * count, 80.0, 520.0)),
            .x = Scale(0, static_cast<double>(last)),
            .y = Scale(-count, 0)};
  plot.x_ticks = plot.x.whole_ticks(6);
  const std::size_t every = label_every(study.trials.size());
  for (std::size_t i = 0; i < study.trials.size(); ++i) {
    const TrialFacts& trial = study.trials[i];
    if (i % every == 0) plot.y_ticks.push_back({plot.y.at(row_of(i)), std::to_string(trial.id)});
    plot.marks += line(plot, {{0, row_of(i)}, {static_cast<double>(trial.steps), row_of(i)}}, trial.id, "curve");
  }
  plot.marks += copies(study, plot);
  std::vector<std::pair<double, double>> way;
  for (const Stretch& stretch : ancestry(study)) {
    way.emplace_back(static_cast<double>(stretch.first), row_of(stretch.trial));
    way.emplace_back(static_cast<double>(stretch.last), row_of(stretch.trial));
  }
  if (study.best) plot.marks += line(plot, way, study.trials[*study.best].id, "curve best");
  return draw(plot);
}

// The values that the best weights were trained with, where they changed.
std::string schedule_of(const ReportFacts& study, const std::string& name) {
  std::vector<std::pair<double, double>> points;
  const auto last = static_cast<double>(study.trials[*study.best].step);
  for (const ScheduleFact& change : study.best_schedule) {
    const Value* value = find_param(change.params, name);
    if (value == nullptr || std::holds_alternative<std::string>(*value)) continue;
    if (!points.empty()) points.emplace_back(static_cast<double>(change.step), points.back().second);
    points.emplace_back(static_cast<double>(change.step), as_number(*value));
  }
  const auto [low, high] = std::ranges::minmax_element(points, {}, &std::pair<double, double>::second);
  if (points.empty() || low->second == high->second) return "";
  points.emplace_back(last, points.back().second);
  const bool log = low->second > 0 && high->second > 5 * low->second;
  const double margin = 0.08 * (high->second - low->second);
  Plot plot{.label = "The schedule that was found for " + name,
            .height = 160,
            .x = Scale(0, last),
            .y = log ? Scale(low->second / 1.2, high->second * 1.2, true)
                     : Scale(low->second - margin, high->second + margin)};
  plot.x_ticks = plot.x.whole_ticks(5);
  plot.y_ticks = plot.y.ticks(4);
  plot.marks = line(plot, points, study.trials[*study.best].id, "curve best");
  plot.caption = "<b>" + escape(name) + "</b> over steps";
  return draw(plot);
}

std::string schedules(const ReportFacts& study) {
  if (!study.best || study.best_schedule.size() < 2) return "";
  std::string pictures;
  for (const auto& [name, value] : study.best_schedule.front().params) pictures += schedule_of(study, name);
  if (pictures.empty()) return "";
  return "<h3>The schedule it found</h3><p class=\"soft\">What the best weights were trained with, through all trials "
         "they came from; best.yaml trains along it.</p><div class=\"slices\">" +
         pictures + "</div>";
}

}  // namespace

std::string population_section(const ReportFacts& study) {
  if (std::ranges::all_of(study.trials, [](const TrialFacts& trial) { return trial.lineage.empty(); })) return "";
  std::size_t copied = 0, changed = 0;
  for (const TrialFacts& trial : study.trials) {
    for (const LineageFact& event : trial.lineage) ++(event.copy_of ? copied : changed);
  }
  const auto times = [](std::size_t count) { return count == 1 ? "once" : fmt::format("{} times", count); };
  std::string html = "<p class=\"soft\">Weights were copied " + (copied > 0 ? times(copied) : "never") + "." +
                     (changed > 0 ? " Parameters changed " + times(changed) + " without a copy." : "") +
                     "</p><ul class=\"legend\">";
  if (study.best) html += "<li><i class=\"key best\"></i>the way of the best weights</li>";
  if (copied > 0) html += "<li><i class=\"key copy\"></i>a copy: the dot is at the trial that got them</li>";
  return html + "</ul>" + descent(study) + schedules(study);
}

}  // namespace finetune::html
