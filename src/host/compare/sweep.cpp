#include "host/compare/sweep.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/text.h"
#include "host/tuner_setup.h"
#include "tuners/method.h"
#include "tuners/registry.h"

namespace finetune {
namespace {

constexpr std::int64_t kNoLimit = 10'000'000;  // trials; the budget ends a study long before

Method method_named(const std::string& name) {
  const auto known = [](const std::vector<std::string>& names, const std::string& part) {
    if (std::find(names.begin(), names.end(), part) == names.end())
      throw bad_input("--methods",
                      part + " is unknown" + did_you_mean(part, names) + "; allowed: " + join(names, ", "));
  };
  if (name == "auto") throw bad_input("--methods", "auto stands for one of the others; name those to compare");
  const Method method = method_by_name(name);
  known(sampler_names(), method.sampler);
  known(scheduler_names(), method.scheduler);
  return method;
}

void refuse_unequal_budgets(const BudgetConfig& budget) {
  if (budget.target)
    throw bad_input("", "tune.budget.target would give methods different budgets; compare them without it");
  if (budget.patience)
    throw bad_input("", "tune.budget.patience would give methods different budgets; compare them without it");
}

// With the options that the user gave to a sampler or scheduler of this name.
TunerPart part_of(const std::optional<TunerPart>& given, const std::string& name) {
  return given && given->name == name ? *given : TunerPart{.name = name};
}

ComparedStudy study_of(const RunConfig& config, const std::string& name, const Method& method) {
  ComparedStudy study{.method = name, .config = config};
  TuneConfig& tune = study.config.tune;
  tune.method.reset();
  tune.sampler = part_of(config.tune.sampler, method.sampler);
  tune.scheduler = part_of(config.tune.scheduler, method.scheduler);
  BudgetConfig& budget = tune.budget;
  if (!budget.steps && !budget.tokens && !budget.seconds)
    budget.steps = tune.trials * config.train.stop_at.value_or(config.train.steps);
  // Every trial takes a step at least: the steps are the limit.
  tune.trials = budget.steps.value_or(kNoLimit);
  return study;
}

std::vector<ComparedStudy> possible_studies(const RunConfig& config, const CompareOptions& options,
                                            std::vector<SkippedMethod>& skipped) {
  std::vector<ComparedStudy> studies;
  for (const std::string& name : options.methods) {
    const ComparedStudy study = study_of(config, name, method_named(name));
    if (judges_one_cohort(study.config.tune.scheduler->name) && !study.config.tune.budget.steps) {
      skipped.push_back({name, "it waits for all trials of a study, whose number only tune.budget.steps limits"});
      continue;
    }
    try {
      make_tuner(study.config, options.widths.front());
      studies.push_back(study);
    } catch (const Error& error) {
      skipped.push_back({name, error.what()});
    }
  }
  if (studies.empty()) throw bad_input("--methods", "none can run: " + skipped.front().why);
  return studies;
}

}  // namespace

Sweep plan_sweep(const RunConfig& config, const CompareOptions& options) {
  refuse_unequal_budgets(config.tune.budget);
  if (!config.tune.warm_start.empty())
    throw bad_input("", "tune.warm_start would be of use to some methods only; compare them without it");
  Sweep sweep;
  const auto possible = possible_studies(config, options, sweep.table.skipped);
  for (std::int64_t seed = 0; seed < options.seeds; ++seed) {
    for (ComparedStudy study : possible) {
      study.config.tune.seed = config.tune.seed + seed;
      study.config.train.seed = config.train.seed + seed;
      for (const std::int64_t width : options.widths) {
        study.concurrent = width;
        sweep.studies.push_back(study);
      }
    }
  }
  sweep.table.concurrent = options.widths.front();
  sweep.table.budget = possible.front().config.tune.budget;
  sweep.table.steps = config.train.stop_at.value_or(config.train.steps);
  sweep.table.metric = config.tune.metric;
  sweep.table.direction = config.tune.direction;
  sweep.table.studies = static_cast<std::int64_t>(sweep.studies.size());
  return sweep;
}

ComparisonTable table_of(const Sweep& sweep, std::span<const ComparedRun> runs) {
  ComparisonTable table = sweep.table, rows = compare_runs(runs, sweep.table.concurrent);
  table.best = rows.best;
  table.reach = rows.reach;
  table.rows = std::move(rows.rows);
  table.finished = rows.finished;
  return table;
}

}  // namespace finetune
