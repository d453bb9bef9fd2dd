#include "host/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "config/config.h"
#include "core/error.h"
#include "engine/admission.h"
#include "engine/devices.h"
#include "engine/lane_count.h"
#include "engine/starts.h"
#include "host/forecast.h"
#include "host/recorded_study.h"
#include "host/run_paths.h"
#include "host/study_setup.h"
#include "host/tuner_setup.h"

namespace finetune {
namespace {

constexpr std::int64_t kConcurrent = 4;  // enough to fill a pass, few enough that a sampler learns from what ended

// What the table wants to know of a study while it runs. Fills in all but the best trial.
class Watch : public StudyObserver {
 public:
  Watch(ComparedRun& run, Direction direction, Clock::time_point started)
      : run_(run), direction_(direction), started_(started) {}

  void on_start(const Trial&) override { ++run_.trials; }
  void on_steps(std::span<const StepResult> results, std::span<const Trial* const>) override {
    run_.steps += std::ssize(results);
    ++rounds_;
  }
  void on_evaluation(const Trial&, const EvalResult&, const MetricValues& values) override {
    if (!values.metric) return;
    const double value = to_minimized(*values.metric, direction_);
    if (!std::isfinite(value) || (!run_.improvements.empty() && value >= run_.improvements.back().metric)) return;
    run_.improvements.push_back(
        {.metric = value, .steps = run_.steps, .rounds = rounds_, .seconds = seconds_since(started_)});
  }
  void before_decision() override { asked_ = Clock::now(); }
  void after_decision() override {
    run_.decision_seconds += seconds_since(asked_);
    ++run_.decisions;
  }

 private:
  ComparedRun& run_;
  Direction direction_;
  Clock::time_point started_, asked_;
  std::int64_t rounds_ = 0;
};

// Nothing when `stop` cut it short.
std::optional<ComparedRun> run_compared(const Session& session, const ComparedStudy& study,
                                        std::vector<LaneParts>& lanes, const std::function<bool()>& stop) {
  const auto started = Clock::now();
  const Direction direction = study.config.tune.direction;
  ComparedRun run{.method = study.method,
                  .seed = static_cast<std::uint64_t>(study.config.tune.seed),
                  .concurrent = study.concurrent};
  Watch watch(run, direction, started);
  const auto tuner = make_tuner(study.config, study.concurrent);
  StudyOptions options = study_options(session, study.config, study.concurrent);
  options.stop = ends_by(stop, study.config.tune.budget.seconds, [started] { return seconds_since(started); });
  options.with_default = false;
  const StudyResult result = Study(std::move(options), *tuner, lanes_of(lanes), {&watch}).run();
  if (result.ended == EndReason::interrupted) return std::nullopt;
  run.seconds = seconds_since(started);
  if (!result.best) return run;
  const Trial& best = result.trials[*result.best];
  run.best = to_minimized(*best.best_metric, direction);
  run.best_steps = best.step;
  run.params = best.params;
  return run;
}

std::vector<std::int64_t> default_widths(Session& session) {
  if (session.config.tune.concurrent) return {*session.config.tune.concurrent};
  return {std::min(kConcurrent, resident_trials(session))};
}

void check_memory(const Session& session, std::int64_t width) {
  for (const MemoryNeed& need : memory_needs(session, width)) {
    if (width > 1 && need.to_come > need.share.free)
      throw bad_input("", fmt::format("{} trials side by side need {} MiB on {}, {} are free; compare with fewer",
                                      width, need.to_come >> 20, need.share.device.str(), need.share.free >> 20));
  }
}

std::string result_text(const ComparedRun& run, const ComparisonTable& table, double elapsed) {
  const auto left = static_cast<double>(table.studies - table.finished);
  std::string text = fmt::format("{} of {}: {}, seed {}, {} side by side: ", table.finished, table.studies, run.method,
                                 run.seed, run.concurrent);
  text += run.best ? fmt::format("{} {:.5g}", table.metric, to_minimized(*run.best, table.direction))
                   : "no trial was evaluated";
  text += fmt::format(", {} trials, {} steps, {:.1f} s", run.trials, run.steps, *run.seconds);
  if (left > 0) text += fmt::format("; about {:.0f} s left", elapsed / static_cast<double>(table.finished) * left);
  return text;
}

}  // namespace

ComparisonTable compare(RunConfig config, CompareOptions options, const CompareHooks& hooks, bool overwrite) {
  choose_defaults(config);
  validate(config);
  CompareOptions early = options;
  if (early.widths.empty()) early.widths = {config.tune.concurrent.value_or(kConcurrent)};
  plan_sweep(config, early);  // a method that cannot be is found before anything is read
  check_paths(config, true, overwrite);
  Session session = open_study(std::move(config), {}, 1, hooks.say, hooks.stop);
  require_validation(session.data, "methods are compared on");
  if (options.widths.empty()) options.widths = default_widths(session);
  const Sweep sweep = plan_sweep(session.config, options);
  const std::int64_t widest = *std::max_element(options.widths.begin(), options.widths.end());
  settle_lanes(session, widest, kMeasuringSeconds);
  check_memory(session, widest);
  compute_starts(session);
  std::vector<LaneParts> lanes = make_lanes(session, widest);
  const FileLock lock = begin_folder(session, overwrite);
  describe_session(session);

  const auto started = Clock::now();
  std::vector<ComparedRun> runs;
  for (const ComparedStudy& study : sweep.studies) {
    auto run = run_compared(session, study, lanes, hooks.stop);
    if (!run) break;
    runs.push_back(std::move(*run));
    const ComparisonTable table = table_of(sweep, runs);
    session.say(result_text(runs.back(), table, seconds_since(started)));
    if (hooks.on_study) hooks.on_study(table, runs);
  }
  return table_of(sweep, runs);
}

}  // namespace finetune
