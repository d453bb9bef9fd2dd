#include "report/html/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html/text.h"

namespace finetune::html {
namespace {

constexpr double kLogFrom = 50;
constexpr std::size_t kFewestTicks = 3;
constexpr int kMostTicks = 20, kMostTries = 4;  // whatever a damaged report has for a range

// A coordinate in as few characters as a thousandth of the width needs.
std::string coordinate(double value) {
  const double rounded = std::round(value * 10) / 10;
  return fmt::format("{}", rounded == 0 ? 0.0 : rounded);
}

std::string trial_attribute(std::int64_t trial) {
  return trial < 0 ? "" : fmt::format(" data-t={}", trial);
}

// 1, 2 or 5 times a power of ten, the least that is no less.
double round_up(double value) {
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= value * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

std::string labels(const char* side, const std::vector<Scale::Tick>& ticks, const char* from) {
  std::string html = fmt::format("<div class=\"{}\" aria-hidden=\"true\">", side);
  for (const auto& tick : ticks) {
    const char* end = tick.at < 30 ? " class=\"first\"" : tick.at > 970 ? " class=\"last\"" : "";
    html += fmt::format("<span{} style=\"{}:{}%\">{}</span>", end, from, coordinate(tick.at / 10), escape(tick.label));
  }
  return html + "</div>";
}

}  // namespace

Scale::Scale(double low, double high, bool log) : low_(low), high_(high), log_(log) {
  if (!(high_ > low_)) {  // a single value stands in the middle
    const double room = 1e-9 + std::fabs(low_) * 0.05;
    high_ = low_ + room;
    low_ -= room;
  }
  if (log_) low_ = std::log10(low_), high_ = std::log10(high_);
}

double Scale::at(double value) const {
  const double position = log_ ? std::log10(std::max(value, 1e-300)) : value;
  return 1000 * std::clamp((position - low_) / (high_ - low_), 0.0, 1.0);
}

// Powers of ten, or 1, 2 and 5 times those where few powers fit, or evenly spread where the range is within one.
std::vector<Scale::Tick> Scale::ticks_of_logarithms(int count) const {
  std::vector<Tick> ticks;
  const bool wide = high_ - low_ >= 2;
  const double every = wide ? std::max(1.0, std::ceil((high_ - low_) / count)) : 1;
  for (double power = wide ? std::ceil(low_ - 1e-9) : std::floor(low_); power <= high_ + 1e-9; power += every) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * std::pow(10, power), position = std::log10(value);
      if (position < low_ - 1e-9 || position > high_ + 1e-9 || (wide && factor > 1)) continue;
      ticks.push_back({at(value), short_number(value)});
    }
  }
  if (ticks.size() >= 2) return ticks;
  ticks.clear();
  for (int k = 0; k < 3; ++k) {
    const double value = std::pow(10, low_ + (high_ - low_) * k / 2);
    ticks.push_back({at(value), fmt::format("{:.2g}", value)});
  }
  return ticks;
}

std::vector<Scale::Tick> Scale::ticks(int count) const {
  std::vector<Tick> ticks;
  if (log_) return ticks_of_logarithms(count);
  double every = round_up((high_ - low_) / count);
  for (int tries = 0; tries < kMostTries && ticks.size() < kFewestTicks; ++tries, every = round_up(every / 2.5))
    ticks = ticks_every(every);
  return ticks;
}

std::vector<Scale::Tick> Scale::whole_ticks(int count) const {
  return ticks_every(std::max(1.0, round_up((high_ - low_) / count)));
}

std::vector<Scale::Tick> Scale::ticks_every(double every) const {
  std::vector<Tick> ticks;
  const double first = std::ceil(low_ / every - 1e-9);
  for (int i = 0; i < kMostTicks; ++i) {
    const double value = (first + i) * every;
    if (!(value <= high_ + every * 1e-9)) break;
    ticks.push_back({at(value), short_number(first + i == 0 ? 0 : value)});
  }
  return ticks;
}

Scale fit_metric(std::vector<double> values, Direction direction) {
  std::sort(values.begin(), values.end());
  const std::size_t last = values.size() - 1, tenth = last - static_cast<std::size_t>(0.9 * static_cast<double>(last));
  const bool low_is_bad = direction == Direction::maximize;
  double low = values[low_is_bad ? tenth : 0], high = values[last - (low_is_bad ? 0 : tenth)];
  if (!(high > low)) {  // nearly all are equal
    low = values.front();
    high = values.back();
  }
  if (!(high > low)) return {low, low};
  if (low > 0 && high > kLogFrom * low) return {low / 1.1, high * 1.1, true};
  const double margin = 0.05 * (high - low);
  return {low - margin, high + margin};
}

std::string draw(const Plot& plot) {
  std::string svg;
  for (const auto& tick : plot.y_ticks)
    svg += fmt::format("<path class=\"grid\" d=\"M0 {}h1000\"/>", coordinate(1000 - tick.at));
  if (plot.grid_x) {
    for (const auto& tick : plot.x_ticks)
      svg += fmt::format("<path class=\"grid\" d=\"M{} 0v1000\"/>", coordinate(tick.at));
  }
  std::string html = "<figure class=\"plot\">";
  if (!plot.y_title.empty()) html += "<p class=\"axis\">" + escape(plot.y_title) + "</p>";
  html += fmt::format(
      "<div class=\"area\" style=\"height:{}px\"><svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" "
      "role=\"img\" aria-label=\"{}\">{}{}</svg>",
      plot.height, escape(plot.label), svg, plot.marks);
  html += labels("y", plot.y_ticks, "bottom") + labels("x", plot.x_ticks, "left") + "</div>";
  if (!plot.x_title.empty()) html += "<p class=\"axis of-x\">" + escape(plot.x_title) + "</p>";
  if (!plot.caption.empty()) html += "<figcaption>" + plot.caption + "</figcaption>";
  return html + "</figure>\n";
}

std::string dot(const Plot& plot, double x, double y, std::int64_t trial, const char* style) {
  return fmt::format("<path class=\"{}\"{} d=\"M{} {}h.1\"/>", style, trial_attribute(trial), coordinate(plot.x.at(x)),
                     coordinate(1000 - plot.y.at(y)));
}

std::string line(const Plot& plot, const std::vector<std::pair<double, double>>& points, std::int64_t trial,
                 const char* style) {
  if (points.empty()) return "";
  if (points.size() == 1) return dot(plot, points[0].first, points[0].second, trial, style);
  std::string path;
  for (const auto& [x, y] : points)
    path += fmt::format("{}{} {}", path.empty() ? "M" : "L", coordinate(plot.x.at(x)), coordinate(1000 - plot.y.at(y)));
  return fmt::format("<path class=\"{}\"{} d=\"{}\"/>", style, trial_attribute(trial), path);
}

std::string rule(const Plot& plot, double x, const char* style) {
  return fmt::format("<path class=\"{}\" d=\"M{} 0v1000\"/>", style, coordinate(plot.x.at(x)));
}

std::size_t label_every(std::size_t rows) {
  return static_cast<std::size_t>(std::max(1.0, round_up(static_cast<double>(rows) / 12)));
}

std::vector<std::pair<double, double>> thinned(std::vector<std::pair<double, double>> points, std::size_t most) {
  if (points.size() <= most) return points;
  const std::size_t stretches = std::max<std::size_t>(1, most / 2);
  std::vector<std::pair<double, double>> few;
  const auto lower = [](const auto& a, const auto& b) { return a.second < b.second; };
  for (std::size_t k = 0; k < stretches; ++k) {
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(k * points.size() / stretches);
    const auto end = points.begin() + static_cast<std::ptrdiff_t>((k + 1) * points.size() / stretches);
    auto [low, high] = std::minmax_element(begin, end, lower);
    if (high < low) std::swap(low, high);
    few.push_back(*low);
    if (high != low) few.push_back(*high);
  }
  if (few.back() != points.back()) few.push_back(points.back());
  return few;
}

}  // namespace finetune::html
