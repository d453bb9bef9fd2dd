#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/number.h"
#include "core/text.h"
#include "report/summary.h"

namespace finetune {
namespace {

constexpr const char* kStyle = R"(<style>
:root{--bg:#fff;--fg:#1c2430;--soft:#667;--line:#dde2ea;--best:#0a7d4f;--curve:#9aa7bd;--card:#f6f8fb}
@media(prefers-color-scheme:dark){:root{--bg:#12161c;--fg:#e4e9f0;--soft:#93a0b3;--line:#2b3440;--best:#39c98a;--curve:#4d5b70;--card:#1a2028}}
body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;max-width:1060px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}
.verdict{font-size:1.1rem;background:var(--card);border-left:4px solid var(--best);padding:.8rem 1rem;border-radius:4px}
.soft{color:var(--soft)}table{border-collapse:collapse;width:100%;font-size:.9rem}.scroll{overflow-x:auto}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);white-space:nowrap}
td.n{text-align:right;font-variant-numeric:tabular-nums}tr.best td{color:var(--best);font-weight:600}
svg{background:var(--card);border-radius:4px;max-width:100%;height:auto}svg text{fill:var(--soft);font:11px system-ui,sans-serif}
.grid{stroke:var(--line)}.curve{fill:none;stroke:var(--curve);stroke-width:1}.winner{fill:none;stroke:var(--best);stroke-width:2.2}
.dot{fill:var(--curve)}.winnerdot{fill:var(--best)}pre{background:var(--card);padding:.7rem 1rem;border-radius:4px;overflow-x:auto}
.bar{background:var(--best);height:.6rem;border-radius:3px}
</style>)";

std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

struct Frame {
  double width = 1000, height = 280, left = 60, right = 15, top = 15, bottom = 30;
  double x_low = 0, x_high = 1, y_low = 0, y_high = 1;
  double x(double v) const { return left + (v - x_low) / (x_high - x_low) * (width - left - right); }
  double y(double v) const { return height - bottom - (v - y_low) / (y_high - y_low) * (height - top - bottom); }
};

// The range of the y axis leaves out the worst tenth: a diverging trial must not flatten the others.
void fit_y(Frame& frame, std::vector<double> values, Direction direction) {
  std::sort(values.begin(), values.end());
  const std::size_t last = values.size() - 1, tenth = last - static_cast<std::size_t>(0.9 * static_cast<double>(last));
  const bool low_is_bad = direction == Direction::maximize;
  frame.y_low = values[low_is_bad ? tenth : 0];
  frame.y_high = values[last - (low_is_bad ? 0 : tenth)];
  if (!(frame.y_high > frame.y_low)) {  // nearly all are equal
    frame.y_low = values.front();
    frame.y_high = std::max(values.back(), frame.y_low + 1e-9 + std::fabs(frame.y_low) * 1e-3);
  }
  const double margin = 0.05 * (frame.y_high - frame.y_low);
  frame.y_low -= margin;
  frame.y_high += margin;
}

std::string axes(const Frame& frame) {
  std::string svg;
  for (int k = 0; k <= 4; ++k) {
    const double value = frame.y_low + (frame.y_high - frame.y_low) * k / 4, y = frame.y(value);
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/><text x=\"4\" "
        "y=\"{:.1f}\">{:.4g}</text>",
        frame.left, frame.width - frame.right, y, y, y + 4, value);
    const double step = frame.x_low + (frame.x_high - frame.x_low) * k / 4;
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:.0f}</text>", frame.x(step),
                       frame.height - 8, step);
  }
  return svg;
}

std::string polyline(const Frame& frame, const std::vector<CurvePoint>& points, const char* style) {
  std::string path;
  if (points.size() == 1 && std::isfinite(points[0].value))  // a line of one point would not be seen
    return fmt::format("<circle class=\"{}\" r=\"1.5\" cx=\"{:.1f}\" cy=\"{:.1f}\"/>", style,
                       frame.x(static_cast<double>(points[0].step)),
                       frame.y(std::clamp(points[0].value, frame.y_low, frame.y_high)));
  for (const auto& point : points) {
    if (!std::isfinite(point.value)) continue;
    path += fmt::format("{:.1f},{:.1f} ", frame.x(static_cast<double>(point.step)),
                        frame.y(std::clamp(point.value, frame.y_low, frame.y_high)));
  }
  return fmt::format("<polyline class=\"{}\" points=\"{}\"/>", style, path);
}

// Moving average over a twentieth of the curve: single steps of training loss are noise.
std::vector<CurvePoint> smoothed(const std::vector<CurvePoint>& points) {
  const std::size_t window = std::max<std::size_t>(1, points.size() / 20);
  std::vector<CurvePoint> out;
  double sum = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    sum += points[i].value;
    if (i >= window) sum -= points[i - window].value;
    out.push_back({points[i].step, sum / static_cast<double>(std::min(i + 1, window))});
  }
  return out;
}

using Curve = std::vector<CurvePoint> TrialSummary::*;

std::string curves(const StudySummary& study, Curve which, Direction direction, bool smooth) {
  Frame frame;
  std::vector<double> values;
  for (const auto& trial : study.trials) {
    for (const auto& point : smooth ? smoothed(trial.*which) : trial.*which) {
      if (!std::isfinite(point.value)) continue;
      values.push_back(point.value);
      frame.x_high = std::max(frame.x_high, static_cast<double>(point.step));
    }
  }
  if (values.empty()) return "<p class=\"soft\">nothing was recorded</p>";
  fit_y(frame, values, direction);
  std::string svg = fmt::format("<svg viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\">",
                                frame.width, frame.height) +
                    axes(frame);
  for (std::size_t i = 0; i < study.trials.size(); ++i) {
    if (study.best && *study.best == i) continue;
    svg += polyline(frame, smooth ? smoothed(study.trials[i].*which) : study.trials[i].*which, "curve");
  }
  if (study.best)
    svg += polyline(frame, smooth ? smoothed(study.trials[*study.best].*which) : study.trials[*study.best].*which,
                    "winner");
  return svg + "</svg>";
}

// Which trials stand beside each other where parameters are compared.
std::string compared_text(const StudySummary& study) {
  const auto count = std::count_if(study.trials.begin(), study.trials.end(), [&](const TrialSummary& trial) {
    return metric_at(trial, study.compared_step).has_value();
  });
  return fmt::format("at step {}, the highest that at least half of the evaluated trials reached ({} trials)",
                     study.compared_step, count);
}

std::string scatter(const StudySummary& study, const std::string& name) {
  Frame frame{.width = 480, .height = 200, .left = 55};
  std::vector<std::pair<double, std::size_t>> points;
  std::vector<double> metrics;
  bool positive = true;
  for (std::size_t i = 0; i < study.trials.size(); ++i) {
    const Value* value = find_param(study.trials[i].params, name);
    const auto metric = metric_at(study.trials[i], study.compared_step);
    if (value == nullptr || std::holds_alternative<std::string>(*value) || !metric) continue;
    points.emplace_back(as_number(*value), i);
    metrics.push_back(*metric);
    positive = positive && as_number(*value) > 0;
  }
  if (points.size() < 2) return "";
  const auto [low, high] = std::minmax_element(points.begin(), points.end());
  const bool log = positive && high->first > 20 * low->first;
  const auto position = [&](double v) { return log ? std::log10(v) : v; };
  frame.x_low = position(low->first);
  frame.x_high = position(high->first);
  if (!(frame.x_high > frame.x_low)) return "";
  fit_y(frame, metrics, study.direction);
  std::string svg = fmt::format(
      "<figure style=\"display:inline-block;margin:.4rem\"><svg viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\">",
      frame.width, frame.height);
  for (int k = 0; k <= 2; ++k) {
    const double value = frame.y_low + (frame.y_high - frame.y_low) * k / 2,
                 at = frame.x_low + (frame.x_high - frame.x_low) * k / 2;
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/><text x=\"4\" "
        "y=\"{:.1f}\">{:.4g}</text>",
        frame.left, frame.width - frame.right, frame.y(value), frame.y(value), frame.y(value) + 4, value);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:.3g}</text>", frame.x(at),
                       frame.height - 8, log ? std::pow(10, at) : at);
  }
  for (const auto& [value, i] : points) {
    svg +=
        fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>",
                    study.best && *study.best == i ? "winnerdot" : "dot", frame.x(position(value)),
                    frame.y(std::clamp(*metric_at(study.trials[i], study.compared_step), frame.y_low, frame.y_high)));
  }
  return svg + "</svg><figcaption class=\"soft\">" + escape(name) + (log ? " (log)" : "") + "</figcaption></figure>";
}

std::string trial_table(const StudySummary& study) {
  std::vector<std::string> names;
  if (!study.trials.empty()) {
    for (const auto& [name, value] : study.trials.front().params) names.push_back(name);
  }
  std::string html = "<div class=\"scroll\"><table><tr><th>trial</th><th>" + escape(study.metric) +
                     "</th><th>at step</th><th>steps</th>";
  for (const auto& name : names) html += "<th>" + escape(name) + "</th>";
  html += "<th>state</th><th>reason</th></tr>";
  for (std::size_t i = 0; i < study.trials.size(); ++i) {
    const TrialSummary& trial = study.trials[i];
    html += fmt::format(
        "<tr{}><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>",
        study.best && *study.best == i ? " class=\"best\"" : "", trial.id,
        trial.metric ? fmt::format("{:.6g}", *trial.metric) : "-", trial.step, trial.steps);
    for (const auto& name : names) {
      const Value* value = find_param(trial.params, name);
      const auto* number = value ? std::get_if<double>(value) : nullptr;
      html += "<td class=\"n\">" +
              (number  ? fmt::format("{:.4g}", *number)
               : value ? escape(to_text(*value))
                       : std::string()) +
              "</td>";
    }
    html += "<td>" + escape(trial.state) + "</td><td class=\"soft\">" + escape(trial.reason) + "</td></tr>";
  }
  return html + "</table></div>";
}

std::string importance_table(const StudySummary& study) {
  if (study.importance.empty()) return "";
  std::string html = "<h2>What mattered</h2><p class=\"soft\">Share of the variance of " + escape(study.metric) +
                     " that each parameter explains on its own, " + compared_text(study) +
                     "; rough with few trials.</p><table>";
  for (const auto& [name, share] : study.importance) {
    html += fmt::format(
        "<tr><td>{}</td><td class=\"n\">{:.0f} %</td><td style=\"width:60%\"><div class=\"bar\" "
        "style=\"width:{:.0f}%\"></div></td></tr>",
        escape(name), 100 * share, 100 * share);
  }
  return html + "</table>";
}

}  // namespace

std::string report_html(const StudySummary& study) {
  std::string html =
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>finetune_tune: " +
      escape(study.model) + "</title>" + kStyle + "</head><body><h1>Study of " + escape(study.model) + "</h1>";
  html += fmt::format(
      "<p class=\"soft\">{} trials, sampler {}, scheduler {}, {} steps a trial. Training data {}; validation {}. "
      "{}.</p>",
      study.trials.size(), escape(study.sampler), escape(study.scheduler), study.full_steps, escape(study.train_data),
      escape(study.valid_data), escape(study.device));
  html += "<p class=\"verdict\">" + escape(verdict(study)) + "</p>";
  if (study.interrupted) html += "<p>The study was interrupted; this is what there was.</p>";
  if (!study.stopped_by.empty()) html += "<p>The study was ended by tune.budget." + escape(study.stopped_by) + ".</p>";
  html += "<h2>Trials</h2>" + trial_table(study);
  html += "<h2>Validation: " + escape(study.metric) + "</h2><p class=\"soft\">" +
          (study.direction == Direction::minimize ? "lower" : "higher") + " is better; the best trial in colour</p>" +
          curves(study, &TrialSummary::metrics, study.direction, false);
  html += "<h2>Training loss</h2><p class=\"soft\">smoothed; the best trial in colour</p>" +
          curves(study, &TrialSummary::train_loss, Direction::minimize, true);
  if (!study.trials.empty()) {
    std::string plots;
    for (const auto& [name, value] : study.trials.front().params) plots += scatter(study, name);
    if (!plots.empty())
      html += "<h2>Parameters and " + escape(study.metric) + "</h2><p class=\"soft\">" + compared_text(study) + "</p>" +
              plots;
  }
  html += importance_table(study);
  html += fmt::format(
      "<h2>Cost</h2><p>{} steps, {} more saved by stopping early; {} tokens; {:.1f} seconds ({} tokens/s).</p>",
      with_commas(study.steps), with_commas(study.saved_steps), with_commas(study.tokens), study.seconds,
      with_commas(static_cast<long long>(static_cast<double>(study.tokens) / std::max(1e-9, study.seconds))));
  const std::vector<NextStep> steps = next_steps(study);
  if (!steps.empty()) html += "<h2>Use it</h2><pre>";
  for (const auto& [command, what] : steps) html += "# " + escape(what) + "\n" + escape(command) + "\n";
  if (!steps.empty()) html += "</pre>";
  html += "</body></html>\n";
  return html;
}

}  // namespace finetune
