#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "report/html/plot.h"
#include "report/html/sections.h"
#include "report/html/text.h"
#include "report/parameters.h"
#include "report/words.h"

namespace finetune::html {
namespace {

constexpr std::size_t kAllDots = 12'000, kFewestPictures = 6;

// Where a choice stands, from 0 to 1, with a little to either side so that trials do not hide each other.
double spread_choice(std::size_t choice, std::size_t choices, std::int64_t trial) {
  const double aside = (static_cast<double>((static_cast<std::uint64_t>(trial) * 7 + 3) % 11) / 10 - 0.5) * 0.4;
  return (static_cast<double>(choice) + 0.5 + aside) / static_cast<double>(choices);
}

struct Slice {
  const ReportFacts& study;
  const ParameterFacts& parameter;
  const std::vector<Compared>& compared;
  const Scale& y;
};

std::optional<double> position(const Slice& slice, const Compared& trial) {
  const Value* value = find_param(trial.params, slice.parameter.name);
  if (value == nullptr) return std::nullopt;
  const auto& choices = slice.parameter.choices;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (same_value(choices[i], *value)) return spread_choice(i, choices.size(), slice.study.trials[trial.trial].id);
  }
  if (!choices.empty() || std::holds_alternative<std::string>(*value)) return std::nullopt;
  return std::isfinite(as_number(*value)) ? std::optional(as_number(*value)) : std::nullopt;
}

std::vector<Scale::Tick> ticks_of_choices(const ParameterFacts& parameter) {
  std::vector<Scale::Tick> ticks;
  const std::size_t every = (parameter.choices.size() + 5) / 6;
  for (std::size_t i = 0; i < parameter.choices.size(); i += every) {
    std::string text = to_text(parameter.choices[i]);
    if (text.size() > 12) text = text.substr(0, 11) + "~";
    ticks.push_back({1000 * (static_cast<double>(i) + 0.5) / static_cast<double>(parameter.choices.size()), text});
  }
  return ticks;
}

std::string picture(const Slice& slice) {
  const ParameterFacts& parameter = slice.parameter;
  const bool chosen = !parameter.choices.empty();
  const double margin = 0.02 * (parameter.high - parameter.low);
  Plot plot{.label = fmt::format("{} along {}", slice.study.metric, parameter.name),
            .height = 190,
            .x = chosen          ? Scale(0, 1)
                 : parameter.log ? Scale(parameter.low / 1.05, parameter.high * 1.05, true)
                                 : Scale(parameter.low - margin, parameter.high + margin),
            .y = slice.y};
  plot.x_ticks = chosen ? ticks_of_choices(parameter) : plot.x.ticks(4);
  plot.y_ticks = plot.y.ticks(4);
  std::string winner;
  for (const Compared& trial : slice.compared) {
    const auto x = position(slice, trial);
    if (!x) continue;
    const bool best = is_best(slice.study, trial.trial);
    std::string mark = dot(plot, *x, trial.metric, slice.study.trials[trial.trial].id, best ? "dot best" : "dot");
    (best ? winner : plot.marks) += mark;
  }
  plot.marks += winner;
  plot.caption = "<b>" + escape(parameter.name) + "</b>" + (parameter.log ? " (log)" : "");
  return draw(plot);
}

// By importance, then as they are searched.
std::vector<ParameterFacts> in_order(const ReportFacts& study) {
  std::vector<ParameterFacts> order = searched(study);
  const auto rank = [&](const ParameterFacts& parameter) {
    const auto is = [&](const ImportanceFact& fact) { return fact.parameter == parameter.name; };
    return std::ranges::find_if(study.importance, is) - study.importance.begin();
  };
  std::ranges::stable_sort(order, [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return order;
}

}  // namespace

std::string compared_text(const ReportFacts& study) {
  return fmt::format("at step {}, the last that at least half of the evaluated trials reached ({})",
                     study.compared_step, trials_text(compared_trials(study).size()));
}

std::string slices_section(const ReportFacts& study) {
  const std::vector<Compared> compared = compared_trials(study);
  const std::vector<ParameterFacts> order = in_order(study);
  if (compared.size() < 2 || order.empty()) return "";
  std::vector<double> metrics;
  for (const Compared& trial : compared) metrics.push_back(trial.metric);
  const Scale y = fit_metric(metrics, study.direction);
  const std::size_t most = std::max(kFewestPictures, kAllDots / compared.size());
  std::string pictures, others;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i < most)
      pictures += picture({study, order[i], compared, y});
    else
      others += (others.empty() ? "" : ", ") + escape(order[i].name);
  }
  std::string html = "<p class=\"soft\">" + escape(study.metric) + " " + compared_text(study) +
                     "; most important first. A dot is a trial" +
                     (study.best ? ", the large one the best of the study" : "") + ".</p><div class=\"slices\">" +
                     pictures + "</div>";
  if (!others.empty()) html += "<p class=\"soft\">Not drawn, since they mattered less: " + others + ".</p>";
  return html;
}

}  // namespace finetune::html
