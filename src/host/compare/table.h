// What several methods did with the same budget, as one table. Plain values and arithmetic; metrics are minimised
// inside, and written in the user's direction.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/run_config.h"

namespace finetune {

/// A new lowest metric of a run and what had been spent when it was reported.
struct Improvement {
  double metric = 0;
  std::int64_t steps = 0;   ///< of all trials together
  std::int64_t rounds = 0;  ///< one step of every running trial each: the time, were there room for all
  double seconds = 0;
};

/// One study: a method, a seed, and how many trials ran side by side.
struct ComparedRun {
  std::string method;
  std::uint64_t seed = 0;
  std::int64_t concurrent = 1;
  std::optional<double> best;             ///< last metric of the trial that the tuner calls best
  std::vector<Improvement> improvements;  ///< in time's order
  std::int64_t steps = 0, trials = 0;
  std::int64_t best_steps = 0;  ///< of `steps`, those of the best trial
  std::int64_t decisions = 0;
  double decision_seconds = 0;
  Params params;                  ///< of the best trial
  std::optional<double> seconds;  ///< of the whole study, where training was real
};

/// Medians over seeds. `rounds`, `seconds`: until within reach, nothing when most seeds never were.
struct ScalingPoint {
  std::int64_t concurrent = 1;
  std::optional<double> best, rounds, seconds, steps_per_second;
};

struct MethodRow {
  std::string method;
  std::int64_t seeds = 0, reached = 0;    ///< studies, and those that came within reach
  std::optional<double> best, low, high;  ///< over seeds: median, lowest and highest
  std::optional<double> steps, seconds;   ///< medians until within reach; nothing when most seeds never were
  std::optional<double> steps_to_best;   ///< median of the steps spent when a metric as good as the final one was there
  bool on_front = false;                 ///< (steps_to_best, best) is not dominated
  double lost_share = 0;                 ///< median share of the steps that went to trials other than the best
  double decision_microseconds = 0;      ///< mean of one call of the tuner
  std::optional<double> decision_share;  ///< of the studies' time, where training was real
  std::vector<ScalingPoint> scaling;     ///< by concurrent
};

struct SkippedMethod {
  std::string method, why;
};

struct ComparisonTable {
  std::int64_t concurrent = 1, steps = 0;  ///< of the main columns; of a full trial
  BudgetConfig budget;                     ///< of a study
  std::string metric = "valid_loss";
  Direction direction = Direction::minimize;
  std::int64_t studies = 0, finished = 0;  ///< planned, and those in the table
  std::optional<double> best;              ///< the lowest of the methods' medians: one lucky seed is no yardstick
  std::optional<double> reach;             ///< a metric at least this low is within 1 % of it
  std::vector<MethodRow> rows;             ///< in the order of the methods' first runs
  std::vector<SkippedMethod> skipped;
};

/// For each (cost, value) whether none has less of one and no more of the other: the Pareto front of what it cost and
/// what it brought. Equal points are on it together.
std::vector<bool> pareto_front(std::span<const std::pair<double, double>> points);

/// The middle value, or the mean of the two; infinite ones count as the largest. Nothing for nothing.
std::optional<double> median(std::vector<double> values);

/// Rows from runs; those at `concurrent` fill the main columns, all of them the scaling.
ComparisonTable compare_runs(std::span<const ComparedRun> runs, std::int64_t concurrent);

std::string table_markdown(const ComparisonTable& table);
nlohmann::ordered_json table_json(const ComparisonTable& table);

}  // namespace finetune
