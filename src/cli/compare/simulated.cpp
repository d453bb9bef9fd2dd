#include "cli/compare/simulated.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <set>

#include "cli/compare/lora_curve.h"
#include "cli/compare/play_curves.h"
#include "cli/search_space.h"
#include "config/params.h"
#include "core/error.h"
#include "core/text.h"
#include "tuners/method.h"
#include "tuners/registry.h"

namespace finetune {
namespace {

constexpr std::int64_t kConcurrent = 4;
constexpr std::int64_t kWidths[] = {1, 4, 16};

const std::vector<std::string> kKnown{"train.learning_rate", "train.lora.rank",    "train.batch_size",
                                      "train.warmup_ratio",  "train.lora.dropout", "train.weight_decay"};

LoraSetting setting_of(RunConfig config, const Params& params) {
  apply_params(config, params);
  const TrainConfig& train = config.train;
  return {.learning_rate = train.learning_rate,
          .rank = static_cast<double>(train.lora.rank),
          .batch_size = static_cast<double>(train.batch_size),
          .warmup_ratio = train.warmup_ratio,
          .dropout = train.lora.dropout,
          .weight_decay = train.weight_decay};
}

/// A curve under the configuration's own keys.
class SimulatedRun : public CurveRun {
 public:
  SimulatedRun(const RunConfig& config, LoraCurve curve) : config_(config), curve_(std::move(curve)) {}
  double step(const Params& params) override {
    if (!params_ || *params_ != params) setting_ = setting_of(config_, params), params_ = params;
    return curve_.step(setting_);
  }
  std::unique_ptr<CurveRun> clone() const override { return std::make_unique<SimulatedRun>(*this); }

 private:
  const RunConfig& config_;
  LoraCurve curve_;
  std::optional<Params> params_;
  LoraSetting setting_;
};

struct Plan {
  const RunConfig& config;
  SearchSpace space;
  std::int64_t steps = 1, budget = 1, concurrent = kConcurrent;
};

struct Study {
  std::string name;
  Method method;
  std::uint64_t seed = 0;
  std::int64_t concurrent = 1;
};

SearchSpace default_space() {
  const auto whole = [](std::int64_t x) { return Value(x); };
  return {{{.name = kKnown[0], .low = 2e-5, .high = 5e-3, .log = true},
           {.name = kKnown[1], .choices = {whole(4), whole(8), whole(16), whole(32), whole(64)}},
           {.name = kKnown[2], .choices = {whole(8), whole(16), whole(32), whole(64)}},
           {.name = kKnown[3], .low = 0, .high = 0.1, .step = 0.01},
           {.name = kKnown[4], .low = 0, .high = 0.2},
           {.name = kKnown[5], .low = 1e-4, .high = 0.3, .log = true}}};
}

SearchSpace space_of(const RunConfig& config) {
  if (config.search.empty()) return default_space();
  for (const auto& p : config.search) {
    if (std::find(kKnown.begin(), kKnown.end(), p.name) == kKnown.end())
      throw bad_input(
          "", "search." + p.name + ": the simulated curves do not depend on it; they know " + join(kKnown, ", "));
  }
  return search_space(config);
}

void refuse_what_curves_lack(const RunConfig& config) {
  if (config.tune.metric != "valid_loss") throw bad_input("", "tune.metric: simulated curves are of valid_loss");
  if (config.tune.direction != Direction::minimize)
    throw bad_input("", "tune.direction: simulated curves are losses, which are minimized");
  if (config.train.epochs) throw bad_input("", "train.epochs: simulated curves have no data; give train.steps");
  if (config.tune.budget.tokens || config.tune.budget.seconds)
    throw bad_input("", "tune.budget: simulated curves know neither tokens nor time; give tune.budget.steps");
}

Plan plan_of(const RunConfig& config) {
  refuse_what_curves_lack(config);
  Plan plan{.config = config, .space = space_of(config)};
  plan.steps = config.train.stop_at.value_or(config.train.steps);
  plan.budget = config.tune.budget.steps.value_or(config.tune.trials * plan.steps);
  plan.concurrent = config.tune.concurrent.value_or(kConcurrent);
  return plan;
}

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

std::unique_ptr<Tuner> tuner_of(const Plan& plan, const Study& study) {
  const TunerOptions options{.trials = plan.budget,  // every trial takes a step at least: the steps are the limit
                             .max_steps = plan.steps,
                             .concurrent = study.concurrent,
                             .budget_steps = plan.budget,
                             .seed = study.seed,
                             .default_min_steps = std::max<std::int64_t>(1, plan.steps / 10),
                             .may_change = may_change_during_training};
  auto sampler = make_sampler(study.method.sampler, {{}, plan.space, study.seed, plan.config.tune.enqueue});
  auto scheduler = make_scheduler(study.method.scheduler, {{}, plan.space, options});
  return std::make_unique<Tuner>(options, std::move(sampler), std::move(scheduler));
}

void note_improvements(const CurvePlayer& player, Improvement now, std::vector<Improvement>& improvements) {
  double lowest = improvements.empty() ? std::numeric_limits<double>::infinity() : improvements.back().metric;
  for (const Report& report : player.reports()) {
    if (!(*report.metric < lowest)) continue;  // also NaN
    lowest = now.metric = *report.metric;
    improvements.push_back(now);
  }
}

ComparedRun play(const Plan& plan, const Study& study) {
  const auto started = std::chrono::steady_clock::now();
  const auto tuner = tuner_of(plan, study);
  CurvePlayer player(
      *tuner,
      [&](TrialId trial) {
        return std::make_unique<SimulatedRun>(plan.config, LoraCurve(study.seed, trial.value, plan.steps));
      },
      study.concurrent);
  ComparedRun run{.method = study.name, .seed = study.seed, .concurrent = study.concurrent};
  for (std::int64_t rounds = 1; player.steps() < plan.budget && player.round(); ++rounds) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    note_improvements(player, {.steps = player.steps(), .rounds = rounds, .seconds = seconds}, run.improvements);
  }
  run.steps = player.steps();
  run.trials = static_cast<std::int64_t>(tuner->trials().size());
  run.decisions = player.decisions();
  run.decision_seconds = player.decision_seconds();
  if (const TrialRecord* best = tuner->best(); best != nullptr && !best->values.empty()) {
    run.best = best->values.back().second;
    run.best_steps = best->step;
  }
  return run;
}

// Methods that can search this space; the others go to `skipped` with the reason.
std::vector<Study> studies_of(const Plan& plan, const std::vector<std::string>& names,
                              std::vector<SkippedMethod>& skipped) {
  std::vector<Study> studies;
  for (const std::string& name : names) {
    const Study study{name, method_named(name), 0, plan.concurrent};
    try {
      tuner_of(plan, study);
      studies.push_back(study);
    } catch (const Error& error) {
      skipped.push_back({name, error.what()});
    }
  }
  if (studies.empty()) throw bad_input("--methods", "none can run: " + skipped.front().why);
  return studies;
}

}  // namespace

ComparisonTable compare_simulated(const RunConfig& config, const CompareOptions& options) {
  const Plan plan = plan_of(config);
  std::vector<SkippedMethod> skipped;
  std::set<std::int64_t> widths(std::begin(kWidths), std::end(kWidths));
  widths.insert(plan.concurrent);
  std::vector<ComparedRun> runs;
  for (Study study : studies_of(plan, options.methods, skipped)) {
    for (const std::int64_t width : widths) {
      study.concurrent = width;
      for (std::int64_t k = 0; k < options.seeds; ++k) {
        study.seed = static_cast<std::uint64_t>(config.tune.seed + k);
        runs.push_back(play(plan, study));
      }
    }
  }
  ComparisonTable table = compare_runs(runs, plan.concurrent);
  table.budget_steps = plan.budget;
  table.steps = plan.steps;
  table.skipped = std::move(skipped);
  return table;
}

}  // namespace finetune
