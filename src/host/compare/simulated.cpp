#include "host/compare/simulated.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <optional>

#include "config/params.h"
#include "core/error.h"
#include "core/text.h"
#include "host/compare/lora_curve.h"
#include "host/compare/play_curves.h"
#include "host/tuner_setup.h"

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
  SimulatedRun(const RunConfig& config, LoraCurve curve) : config_(config), curve_(curve) {}
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

std::vector<SearchParameter> default_search() {
  const auto whole = [](std::int64_t x) { return Value(x); };
  return {{.name = kKnown[0], .low = 2e-5, .high = 5e-3, .log = true},
          {.name = kKnown[1], .choices = {whole(4), whole(8), whole(16), whole(32), whole(64)}},
          {.name = kKnown[2], .choices = {whole(8), whole(16), whole(32), whole(64)}},
          {.name = kKnown[3], .low = 0, .high = 0.1, .step = 0.01},
          {.name = kKnown[4], .low = 0, .high = 0.2},
          {.name = kKnown[5], .low = 1e-4, .high = 0.3, .log = true}};
}

void check_search(const RunConfig& config) {
  for (const auto& p : config.search) {
    if (std::find(kKnown.begin(), kKnown.end(), p.name) == kKnown.end())
      throw bad_input(
          "", "search." + p.name + ": the simulated curves do not depend on it; they know " + join(kKnown, ", "));
  }
}

std::vector<std::int64_t> default_widths(const RunConfig& config) {
  std::vector<std::int64_t> widths{config.tune.concurrent.value_or(kConcurrent)};
  for (const std::int64_t width : kWidths) {
    if (width != widths.front()) widths.push_back(width);
  }
  return widths;
}

void refuse_what_curves_lack(const RunConfig& config) {
  if (config.tune.metric != "valid_loss") throw bad_input("", "tune.metric: simulated curves are of valid_loss");
  if (config.tune.direction != Direction::minimize)
    throw bad_input("", "tune.direction: simulated curves are losses, which are minimized");
  if (config.train.epochs) throw bad_input("", "train.epochs: simulated curves have no data; give train.steps");
  if (config.tune.budget.tokens || config.tune.budget.seconds)
    throw bad_input("", "tune.budget: simulated curves know neither tokens nor time; give tune.budget.steps");
}

void note_improvements(const CurvePlayer& player, Improvement now, std::vector<Improvement>& improvements) {
  double lowest = improvements.empty() ? std::numeric_limits<double>::infinity() : improvements.back().metric;
  for (const Report& report : player.reports()) {
    if (!(*report.metric < lowest)) continue;  // also NaN
    lowest = now.metric = *report.metric;
    improvements.push_back(now);
  }
}

ComparedRun play(const ComparedStudy& study) {
  const auto started = std::chrono::steady_clock::now();
  const RunConfig& config = study.config;
  const std::int64_t steps = config.train.stop_at.value_or(config.train.steps), budget = *config.tune.budget.steps;
  const auto seed = static_cast<std::uint64_t>(config.tune.seed);
  const auto tuner = make_tuner(config, study.concurrent);
  CurvePlayer player(
      *tuner,
      [&](TrialId trial) { return std::make_unique<SimulatedRun>(config, LoraCurve(seed, trial.value, steps)); },
      study.concurrent);
  ComparedRun run{.method = study.method, .seed = seed, .concurrent = study.concurrent};
  for (std::int64_t rounds = 1; player.steps() < budget && player.round(); ++rounds) {
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
    run.params = best->params;
  }
  return run;
}

}  // namespace

ComparisonTable compare_simulated(RunConfig config, CompareOptions options) {
  refuse_what_curves_lack(config);
  check_search(config);
  if (config.search.empty()) config.search = default_search();
  if (options.widths.empty()) options.widths = default_widths(config);
  const Sweep sweep = plan_sweep(config, options);
  std::vector<ComparedRun> runs;
  for (const ComparedStudy& study : sweep.studies) runs.push_back(play(study));
  return table_of(sweep, runs);
}

}  // namespace finetune
