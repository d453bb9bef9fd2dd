#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "report/html/plot.h"
#include "report/html/sections.h"
#include "report/html/text.h"

namespace finetune::html {
namespace {

std::string change_of(const AblationFact& fact) {
  return fact.parameter.empty() ? "default configuration" : escape(fact.parameter) + " = " + short_value(fact.value);
}

// The metric after each change, from the left to the right; nothing where no change changed anything.
std::string path_of(const ReportFacts& study) {
  std::vector<std::pair<double, double>> points;
  for (std::size_t i = 0; i < study.ablation.size(); ++i) {
    const auto& metric = study.ablation[i].metric;
    if (!metric || !std::isfinite(*metric)) continue;
    points.emplace_back(static_cast<double>(i), *metric);
  }
  if (points.size() < 2) return "";
  const auto [low, high] = std::ranges::minmax_element(points, {}, &std::pair<double, double>::second);
  if (low->second == high->second) return "";
  const double margin = 0.08 * (high->second - low->second);
  Plot plot{.label = fmt::format("{} after each change", study.metric),
            .x_title = "changes",
            .y_title = study.metric,
            .height = 180,
            .x = Scale(-0.3, static_cast<double>(study.ablation.size()) - 0.7),
            .y = Scale(low->second - margin, high->second + margin)};
  for (std::size_t i = 0; i < study.ablation.size(); i += label_every(study.ablation.size()))
    plot.x_ticks.push_back({plot.x.at(static_cast<double>(i)), std::to_string(i)});
  plot.y_ticks = plot.y.ticks(4);
  plot.marks = line(plot, points, -1, "curve best");
  for (const auto& [x, y] : points) plot.marks += dot(plot, x, y, -1, "dot best");
  return draw(plot);
}

}  // namespace

std::string ablation_section(const ReportFacts& study) {
  if (study.ablation.empty()) return "";
  std::string html =
      "<p class=\"soft\">One parameter after the other was set to the best trial's value, those before it kept, and "
      "each such configuration trained to the end, where it is measured: a trial's best evaluation may have come "
      "earlier. What a change brings may depend on those before it.</p>" +
      path_of(study) +
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Changes\"><table class=\"short\"><thead><tr>"
      "<th scope=\"col\" class=\"n\">#</th><th scope=\"col\">change</th><th scope=\"col\" class=\"n\">" +
      escape(study.metric) + "</th></tr></thead><tbody>";
  for (std::size_t i = 0; i < study.ablation.size(); ++i) {
    const AblationFact& fact = study.ablation[i];
    html += fmt::format("<tr><td class=\"n\">{}</td><th scope=\"row\">{}</th><td class=\"n\">{}</td></tr>", i,
                        change_of(fact), fact.metric ? short_number(*fact.metric) : "failed");
  }
  return html + "</tbody></table></div>";
}

}  // namespace finetune::html
