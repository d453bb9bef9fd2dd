// What both forms of the verb compare share: methods by name, the studies that they make up, and the table of their
// runs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "host/compare/table.h"

namespace finetune {

struct CompareOptions {
  std::vector<std::string> methods;  ///< names as tune.method takes them, without auto
  std::int64_t seeds = 5;            ///< studies a method and width, from tune.seed on
  std::vector<std::int64_t> widths;  ///< trials side by side; the first fills the main columns. Not empty
};

/// One study: the configuration with a method's sampler and scheduler, the common budget and its own seeds.
struct ComparedStudy {
  std::string method;
  std::int64_t concurrent = 1;
  RunConfig config;
};

struct Sweep {
  std::vector<ComparedStudy> studies;  ///< seed by seed, so that one cut short has some of every method
  ComparisonTable table;               ///< without rows: what is said of all studies, and which methods are left out
};

/// Every method spends tune.budget's steps, tokens or seconds, or without them tune.trials full trials' worth of steps,
/// however many trials that makes. Options beside a sampler or scheduler that the configuration names go to the methods
/// that use it. `config.search` must be filled in. Throws Error (bad_input) for unknown methods, for a budget that
/// would not be the same for all (target, patience), and when no method can search the space.
Sweep plan_sweep(const RunConfig& config, const CompareOptions& options);

/// The table of the runs so far.
ComparisonTable table_of(const Sweep& sweep, std::span<const ComparedRun> runs);

}  // namespace finetune
