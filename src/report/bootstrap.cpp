#include "report/bootstrap.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"

namespace finetune {
namespace {

constexpr std::size_t kFewestExamples = 8;  // drawing again from fewer finds no more than they show

constexpr std::size_t kMostDraws = 2000, kFewestDraws = 100, kMostFigures = 20'000'000;
constexpr double kLow = 0.025, kHigh = 0.975;

using Figures = std::span<const ExampleFigure>;
using Statistic = double (*)(Figures);

// A report that was read may name any metric.
Statistic statistic_named(const std::string& name) {
  for (const Metric& metric : metrics()) {
    if (name == metric.name) return metric.over;
  }
  return nullptr;
}

bool all_finite(Figures figures) {
  return std::ranges::all_of(
      figures, [](const ExampleFigure& figure) { return std::isfinite(figure.value) && std::isfinite(figure.weight); });
}

// The statistic of each side by draw. A draw that has a side without a value (no example of any weight in it) is left
// out of all, so that the sides stay paired.
std::vector<std::vector<double>> draw_again(Statistic over, const std::vector<Figures>& sides) {
  const std::size_t examples = sides.front().size();
  std::vector<std::vector<double>> values(sides.size());
  std::vector<std::size_t> drawn(examples);
  std::vector<ExampleFigure> figures(examples);
  std::vector<double> row(sides.size());
  for (std::size_t draw = 0; draw < bootstrap_draws(examples, sides.size()); ++draw) {
    Random random(2, Purpose::report, draw);  // seed 0 is the forest's (importance/forest.cpp)
    for (std::size_t& example : drawn) example = static_cast<std::size_t>(random.below(examples));
    for (std::size_t side = 0; side < sides.size(); ++side) {
      for (std::size_t i = 0; i < examples; ++i) figures[i] = sides[side][drawn[i]];
      row[side] = over(figures);
    }
    if (!std::ranges::all_of(row, [](double value) { return std::isfinite(value); })) continue;
    for (std::size_t side = 0; side < sides.size(); ++side) values[side].push_back(row[side]);
  }
  return values;
}

double percentile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

std::size_t bootstrap_draws(std::size_t examples, std::size_t sides) {
  const std::size_t figures = std::max<std::size_t>(1, examples * sides);
  return std::clamp(kMostFigures / figures, kFewestDraws, kMostDraws);
}

std::vector<ComparisonFact> compare_judged(const ReportFacts& study) {
  const Statistic over = statistic_named(study.metric);
  if (over == nullptr || study.judged.size() < 2 || study.judged.front().examples.size() < kFewestExamples) return {};
  const Figures winner = study.judged.front().examples;
  std::vector<Figures> sides;
  std::vector<ComparisonFact> comparisons;
  for (const JudgedFact& judged : study.judged) {
    const Figures figures = judged.examples;
    const bool usable = figures.size() == winner.size() && all_finite(figures) && std::isfinite(over(figures));
    if (usable) sides.push_back(figures);
    if (&judged == &study.judged.front() && !usable) return {};
    if (&judged != &study.judged.front() && usable) comparisons.push_back({.other = judged.trial});
  }
  if (comparisons.empty()) return {};
  const double sign = study.direction == Direction::minimize ? 1 : -1;
  const auto values = draw_again(over, sides);
  if (values.front().size() < kFewestDraws / 2) return {};
  for (std::size_t i = 0; i < comparisons.size(); ++i) {
    const std::vector<double>&own = values.front(), &others = values[i + 1];
    std::vector<double> differences;
    for (std::size_t draw = 0; draw < own.size(); ++draw) differences.push_back(sign * (others[draw] - own[draw]));
    std::ranges::sort(differences);
    comparisons[i].difference = sign * (over(sides[i + 1]) - over(winner)) + 0.0;  // -0 is 0
    comparisons[i].low = percentile(differences, kLow);
    comparisons[i].high = percentile(differences, kHigh);
    comparisons[i].examples = static_cast<std::int64_t>(winner.size());
  }
  return comparisons;
}

}  // namespace finetune
