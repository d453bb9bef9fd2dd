#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html/plot.h"
#include "report/html/sections.h"
#include "report/html/text.h"
#include "report/words.h"

namespace finetune::html {
namespace {

using Points = std::vector<std::pair<double, double>>;

constexpr std::size_t kAllPoints = 30'000;  // of a picture: about 400 kB
constexpr std::size_t kFewestPoints = 12, kMostPoints = 400;

// Moving average over a twentieth of the curve: single steps of training loss are noise.
Points smoothed(const std::vector<CurvePoint>& curve) {
  std::vector<CurvePoint> points;
  for (const CurvePoint& point : curve) {
    if (std::isfinite(point.value)) points.push_back(point);
  }
  const std::size_t window = std::max<std::size_t>(1, points.size() / 20);
  Points out;
  double sum = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    sum += points[i].value;
    if (i >= window) sum -= points[i - window].value;
    out.emplace_back(static_cast<double>(points[i].step), sum / static_cast<double>(std::min(i + 1, window)));
  }
  return out;
}

Points finite(const std::vector<CurvePoint>& curve) {
  Points points;
  for (const CurvePoint& point : curve) {
    if (std::isfinite(point.value)) points.emplace_back(static_cast<double>(point.step), point.value);
  }
  return points;
}

struct Kind {
  std::vector<CurvePoint> TrialFacts::*curve;
  bool smooth, ends;
  Direction direction;
  std::string name;
};

std::string ends(const ReportFacts& study, const Plot& plot, const std::vector<Points>& curves) {
  std::string marks;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const TrialFacts& trial = study.trials[i];
    if (curves[i].empty() || (trial.state != "stopped" && trial.state != "failed")) continue;
    const auto& [x, y] = curves[i].back();
    marks += dot(plot, x, y, trial.id, trial.state == "failed" ? "dot failed" : "dot stopped");
  }
  return marks;
}

std::string picture(const ReportFacts& study, const Kind& kind) {
  std::vector<Points> curves;
  std::vector<double> values;
  double last = 1;
  const std::size_t most =
      std::clamp(kAllPoints / std::max<std::size_t>(1, study.trials.size()), kFewestPoints, kMostPoints);
  for (const TrialFacts& trial : study.trials) {
    const Points points = kind.smooth ? smoothed(trial.*kind.curve) : finite(trial.*kind.curve);
    for (const auto& [x, y] : points) {
      values.push_back(y);
      last = std::max(last, x);
    }
    curves.push_back(thinned(points, most));
  }
  if (values.empty()) return "";
  Plot plot{.label = fmt::format("{} of {} over steps", kind.name, trials_text(study.trials.size())),
            .x_title = "step",
            .y_title = kind.name,
            .height = 300,
            .x = Scale(0, last),
            .y = fit_metric(values, kind.direction)};
  plot.x_ticks = plot.x.whole_ticks(6);
  plot.y_ticks = plot.y.ticks(5);
  for (const std::int64_t rung : study.rungs) {
    if (static_cast<double>(rung) <= last) plot.marks += rule(plot, static_cast<double>(rung), "rung");
  }
  for (std::size_t i = 0; i < curves.size(); ++i) {
    if (!is_best(study, i)) plot.marks += line(plot, curves[i], study.trials[i].id, "curve");
  }
  if (kind.ends) plot.marks += ends(study, plot, curves);
  if (study.best) plot.marks += line(plot, curves[*study.best], study.trials[*study.best].id, "curve best");
  return draw(plot);
}

std::string legend(const ReportFacts& study) {
  const auto any = [&](const char* state) {
    return std::ranges::any_of(study.trials, [&](const TrialFacts& trial) { return trial.state == state; });
  };
  std::string html = "<ul class=\"legend\">";
  if (study.best) html += "<li><i class=\"key best\"></i>the best trial</li>";
  if (!study.best || study.trials.size() > 1)
    html += fmt::format("<li><i class=\"key\"></i>{}</li>", study.best ? "other trials" : "trials");
  if (any("stopped")) html += "<li><i class=\"key round stopped\"></i>stopped here</li>";
  if (any("failed")) html += "<li><i class=\"key round failed\"></i>failed after this</li>";
  if (!study.rungs.empty()) html += "<li><i class=\"key rung\"></i>rungs: where trials are compared</li>";
  return html + "</ul>";
}

}  // namespace

std::string curves_section(const ReportFacts& study) {
  const std::string better = study.direction == Direction::minimize ? "lower" : "higher";
  const std::string metric = picture(study, {&TrialFacts::metrics, false, true, study.direction,
                                             study.metric + " on validation data (" + better + " is better)"});
  const std::string loss =
      picture(study, {&TrialFacts::train_loss, true, metric.empty(), Direction::minimize, "training loss, smoothed"});
  if (metric.empty() && loss.empty()) return "";
  const char* density = study.trials.size() > 60 ? "crowd" : "few";  // many lines are drawn fainter
  return legend(study) + "<div class=\"" + density + "\">" + metric + loss + "</div>";
}

}  // namespace finetune::html
