#include "host/compare/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

namespace finetune {
namespace {

constexpr double kReach = 0.01;
constexpr double kNever = std::numeric_limits<double>::infinity();

using Runs = std::vector<const ComparedRun*>;

template <typename Keep>
Runs select(std::span<const ComparedRun> runs, Keep keep) {
  Runs kept;
  for (const ComparedRun& run : runs) {
    if (keep(run)) kept.push_back(&run);
  }
  return kept;
}

Runs main_runs(std::span<const ComparedRun> runs, const std::string& method, std::int64_t concurrent) {
  return select(runs, [&](const ComparedRun& run) { return run.method == method && run.concurrent == concurrent; });
}

template <typename Of>
std::optional<double> median_of(const Runs& runs, Of of) {
  std::vector<double> values;
  for (const ComparedRun* run : runs) values.push_back(of(*run));
  const auto middle = median(std::move(values));
  return middle && std::isfinite(*middle) ? middle : std::nullopt;
}

const Improvement* first_within(const ComparedRun& run, double reach) {
  for (const Improvement& improvement : run.improvements) {
    if (improvement.metric <= reach) return &improvement;
  }
  return nullptr;
}

double best_of(const ComparedRun& run) {
  return run.best.value_or(kNever);
}

template <typename Of>
std::optional<double> cost_to_reach(const Runs& runs, double reach, Of of) {
  return median_of(runs, [&](const ComparedRun& run) {
    const Improvement* at = first_within(run, reach);
    return at == nullptr ? kNever : static_cast<double>(of(*at));
  });
}

// A population's best may end worse than it once was: what counts is the final metric.
double steps_to_best(const ComparedRun& run) {
  const Improvement* at = first_within(run, best_of(run));
  return static_cast<double>(at == nullptr ? run.steps : at->steps);
}

double lost_share(const ComparedRun& run) {
  return run.steps == 0 ? 0 : 1 - static_cast<double>(run.best_steps) / static_cast<double>(run.steps);
}

double shown(double metric, Direction direction) {
  return to_minimized(metric, direction);  // the sign turns back as it turned
}

std::optional<double> shown(const std::optional<double>& metric, Direction direction) {
  return metric ? std::optional(shown(*metric, direction)) : std::nullopt;
}

double decision_microseconds(const Runs& runs) {
  double seconds = 0, decisions = 0;
  for (const ComparedRun* run : runs) {
    seconds += run->decision_seconds;
    decisions += static_cast<double>(run->decisions);
  }
  return decisions == 0 ? 0 : 1e6 * seconds / decisions;
}

std::optional<double> decision_share(const Runs& runs) {
  double decisions = 0, all = 0;
  for (const ComparedRun* run : runs) {
    if (!run->seconds) return std::nullopt;
    decisions += run->decision_seconds;
    all += *run->seconds;
  }
  return all > 0 ? std::optional(decisions / all) : std::nullopt;
}

std::optional<double> steps_per_second(const Runs& runs) {
  return median_of(runs, [](const ComparedRun& run) {
    return run.seconds.value_or(0) > 0 ? static_cast<double>(run.steps) / *run.seconds : kNever;
  });
}

MethodRow row_of(const std::string& method, const Runs& runs, double reach) {
  MethodRow row{.method = method, .seeds = static_cast<std::int64_t>(runs.size())};
  row.best = median_of(runs, best_of);
  for (const ComparedRun* run : runs) {
    if (run->best) row.low = std::min(row.low.value_or(kNever), *run->best);
    if (run->best) row.high = std::max(row.high.value_or(-kNever), *run->best);
    if (first_within(*run, reach) != nullptr) ++row.reached;
  }
  row.steps = cost_to_reach(runs, reach, [](const Improvement& at) { return at.steps; });
  row.seconds = cost_to_reach(runs, reach, [](const Improvement& at) { return at.seconds; });
  row.steps_to_best = row.best ? median_of(runs, steps_to_best) : std::nullopt;
  row.lost_share = median_of(runs, lost_share).value_or(0);
  row.decision_microseconds = decision_microseconds(runs);
  row.decision_share = decision_share(runs);
  return row;
}

void mark_front(std::vector<MethodRow>& rows) {
  std::vector<std::pair<double, double>> points;
  for (const MethodRow& row : rows) points.emplace_back(row.steps_to_best.value_or(kNever), row.best.value_or(kNever));
  const std::vector<bool> on_front = pareto_front(points);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].on_front = rows[i].best && on_front[i];
}

std::vector<const MethodRow*> front_of(const ComparisonTable& table) {
  std::vector<const MethodRow*> front;
  for (const MethodRow& row : table.rows) {
    if (row.on_front) front.push_back(&row);
  }
  std::ranges::stable_sort(front, {}, [](const MethodRow* row) { return *row->steps_to_best; });
  return front;
}

std::vector<ScalingPoint> scaling_of(std::span<const ComparedRun> runs, const std::string& method, double reach) {
  std::set<std::int64_t> widths;
  for (const ComparedRun& run : runs) widths.insert(run.concurrent);
  std::vector<ScalingPoint> points;
  for (const std::int64_t width : widths) {
    const Runs same = main_runs(runs, method, width);
    points.push_back({.concurrent = width,
                      .best = median_of(same, best_of),
                      .rounds = cost_to_reach(same, reach, [](const Improvement& at) { return at.rounds; }),
                      .seconds = cost_to_reach(same, reach, [](const Improvement& at) { return at.seconds; }),
                      .steps_per_second = steps_per_second(same)});
  }
  return points;
}

std::string text_of(const std::optional<double>& value, int digits) {
  return value ? fmt::format("{:.{}f}", *value, digits) : "-";
}

std::string scaling_text(const MethodRow& row, std::optional<double> ScalingPoint::*column, int digits) {
  std::string text;
  for (const ScalingPoint& point : row.scaling) text += (text.empty() ? "" : " / ") + text_of(point.*column, digits);
  return text;
}

std::string widths_text(const ComparisonTable& table) {
  std::string text;
  if (table.rows.empty()) return text;
  for (const ScalingPoint& point : table.rows.front().scaling)
    text += (text.empty() ? "" : " / ") + std::to_string(point.concurrent);
  return text;
}

nlohmann::ordered_json json_of(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

bool is_measured(const ComparisonTable& table) {
  return std::any_of(table.rows.begin(), table.rows.end(), [](const MethodRow& row) { return row.decision_share; });
}

// Which of low and high is the best value depends on the direction.
std::pair<std::optional<double>, std::optional<double>> range_of(const MethodRow& row, Direction direction) {
  if (direction == Direction::minimize) return {row.low, row.high};
  return {shown(row.high, direction), shown(row.low, direction)};
}

std::string header_text(const ComparisonTable& table) {
  const std::string widths = widths_text(table);
  std::string text = fmt::format(
      "| method | best {}: median (lowest to highest) | within 1 %: seeds | steps | seconds | steps to its best | "
      "steps on others than the best | microseconds a decision{} | rounds to within 1 % at {} side by side |",
      table.metric, is_measured(table) ? " (share of the time)" : "", widths);
  if (is_measured(table)) text += fmt::format(" seconds to within 1 % at {0} | steps a second at {0} |", widths);
  return text + "\n|---|---|---|---|---|---|---|---|---|" + (is_measured(table) ? "---|---|" : "") + "\n";
}

std::string row_text(const MethodRow& row, Direction direction) {
  const auto [low, high] = range_of(row, direction);
  std::string text = fmt::format("| {} | {} ({} to {}) | {} of {} | {} | {} | {}{} | {:.1f} % | {:.1f}", row.method,
                                 text_of(shown(row.best, direction), 4), text_of(low, 4), text_of(high, 4), row.reached,
                                 row.seeds, text_of(row.steps, 0), text_of(row.seconds, row.decision_share ? 1 : 4),
                                 text_of(row.steps_to_best, 0), row.on_front ? " (front)" : "", 100 * row.lost_share,
                                 row.decision_microseconds);
  if (row.decision_share) text += fmt::format(" ({:.3f} %)", 100 * *row.decision_share);
  text += fmt::format(" | {} |", scaling_text(row, &ScalingPoint::rounds, 0));
  if (row.decision_share)
    text += fmt::format(" {} | {} |", scaling_text(row, &ScalingPoint::seconds, 1),
                        scaling_text(row, &ScalingPoint::steps_per_second, 1));
  return text + "\n";
}

// The methods that a smaller budget would have favoured, cheapest first.
std::string front_text(const ComparisonTable& table) {
  std::string text;
  for (const MethodRow* row : front_of(table))
    text += fmt::format("{}{} {} after {:.0f} steps", text.empty() ? "" : ", ", row->method,
                        text_of(shown(row->best, table.direction), 4), *row->steps_to_best);
  return text.empty() ? text : "\nPareto front of steps against " + table.metric + ": " + text + ".\n";
}

std::string budget_text(const BudgetConfig& budget) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : " or ") + part; };
  if (budget.steps) add(fmt::format("{} steps", *budget.steps));
  if (budget.tokens) add(fmt::format("{} tokens", *budget.tokens));
  if (budget.seconds) add(fmt::format("{:g} seconds", *budget.seconds));
  return text;
}

nlohmann::ordered_json row_json(const MethodRow& row, Direction direction) {
  auto scaling = nlohmann::ordered_json::array();
  for (const ScalingPoint& point : row.scaling)
    scaling.push_back({{"concurrent", point.concurrent},
                       {"best_median", json_of(shown(point.best, direction))},
                       {"rounds_to_reach", json_of(point.rounds)},
                       {"seconds_to_reach", json_of(point.seconds)},
                       {"steps_per_second", json_of(point.steps_per_second)}});
  const auto [low, high] = range_of(row, direction);
  return {{"method", row.method},
          {"seeds", row.seeds},
          {"best_median", json_of(shown(row.best, direction))},
          {"best_lowest", json_of(low)},
          {"best_highest", json_of(high)},
          {"seeds_that_reached", row.reached},
          {"steps_to_reach", json_of(row.steps)},
          {"seconds_to_reach", json_of(row.seconds)},
          {"steps_to_best", json_of(row.steps_to_best)},
          {"on_front", row.on_front},
          {"lost_share", row.lost_share},
          {"decision_microseconds", row.decision_microseconds},
          {"decision_share", json_of(row.decision_share)},
          {"scaling", std::move(scaling)}};
}

}  // namespace

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

std::vector<bool> pareto_front(std::span<const std::pair<double, double>> points) {
  std::vector<bool> on_front;
  for (const auto& point : points) {
    on_front.push_back(std::ranges::none_of(points, [&](const auto& other) {
      return other != point && other.first <= point.first && other.second <= point.second;
    }));
  }
  return on_front;
}

ComparisonTable compare_runs(std::span<const ComparedRun> runs, std::int64_t concurrent) {
  ComparisonTable table{.concurrent = concurrent, .finished = std::ssize(runs)};
  std::vector<std::string> methods;
  for (const ComparedRun& run : runs) {
    if (std::find(methods.begin(), methods.end(), run.method) == methods.end()) methods.push_back(run.method);
  }
  for (const std::string& method : methods) {
    const auto middle = median_of(main_runs(runs, method, concurrent), best_of);
    if (middle) table.best = std::min(table.best.value_or(kNever), *middle);
  }
  if (table.best) table.reach = *table.best + kReach * std::abs(*table.best);
  const double reach = table.reach.value_or(-kNever);
  for (const std::string& method : methods) {
    table.rows.push_back(row_of(method, main_runs(runs, method, concurrent), reach));
    table.rows.back().scaling = scaling_of(runs, method, reach);
  }
  mark_front(table.rows);
  return table;
}

std::string table_markdown(const ComparisonTable& table) {
  std::string text = header_text(table);
  for (const MethodRow& row : table.rows) text += row_text(row, table.direction);
  text += front_text(table);
  for (const SkippedMethod& skipped : table.skipped)
    text += fmt::format("\n{} left out: {}\n", skipped.method, skipped.why);
  if (table.finished < table.studies)
    text += fmt::format("\nOnly {} of {} studies had ended when this was written.\n", table.finished, table.studies);
  text += fmt::format("\nBest median {}; {} a study, {} steps a full trial, {} trials side by side. {} is better.\n",
                      text_of(shown(table.best, table.direction), 4), budget_text(table.budget), table.steps,
                      table.concurrent, table.direction == Direction::minimize ? "Lower" : "Higher");
  return text;
}

nlohmann::ordered_json table_json(const ComparisonTable& table) {
  using Json = nlohmann::ordered_json;
  auto rows = Json::array(), skipped = Json::array();
  for (const MethodRow& row : table.rows) rows.push_back(row_json(row, table.direction));
  for (const SkippedMethod& method : table.skipped) skipped.push_back({{"method", method.method}, {"why", method.why}});
  Json json{{"metric", table.metric},
            {"direction", table.direction == Direction::minimize ? "minimize" : "maximize"},
            {"best", json_of(shown(table.best, table.direction))},
            {"within_reach", json_of(shown(table.reach, table.direction))},
            {"concurrent", table.concurrent},
            {"steps_of_a_trial", table.steps}};
  if (table.budget.steps) json["budget_steps"] = *table.budget.steps;
  if (table.budget.tokens) json["budget_tokens"] = *table.budget.tokens;
  if (table.budget.seconds) json["budget_seconds"] = *table.budget.seconds;
  json["studies"] = {{"planned", table.studies}, {"finished", table.finished}};
  json["methods"] = std::move(rows);
  json["left_out"] = std::move(skipped);
  return json;
}

}  // namespace finetune
