#include "host/train.h"

#include <fmt/format.h>

#include "core/error.h"
#include "host/forecast.h"
#include "host/recorded_study.h"
#include "host/results.h"
#include "host/run_paths.h"
#include "host/study_setup.h"
#include "host/train_rules.h"
#include "host/tuner_setup.h"
#include "study/run_folder.h"

namespace finetune {
namespace {

// metrics.jsonl in the output folder itself.
class TrainWriter : public StudyObserver {
 public:
  TrainWriter(RunFiles& files, const Metric& metric) : file_(files.create("metrics.jsonl")), metric_(metric) {}
  void on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) override {
    for (std::size_t i = 0; i < results.size(); ++i) file_.add(step_line(results[i], trials[i]->tokens));
  }
  void on_evaluation(const Trial& trial, const EvalResult& result, double) override {
    file_.add(evaluation_line(trial.step, result, metric_));
  }

 private:
  AppendFile& file_;
  Metric metric_;
};

void forget_search(RunConfig& config) {
  config.search.clear();
  config.tune.trials = 1;
  config.tune.budget = {};
  config.tune.sampler = TunerPart{.name = "random"};
  config.tune.scheduler = TunerPart{.name = "none"};
}

StudyOptions train_options(const Session& session, const StudyHooks& hooks) {
  StudyOptions options = study_options(session, session.config, 1);
  options.stop = ends_by(hooks.stop, std::nullopt, {});
  options.with_default = false;
  options.keep_last = true;
  options.lag = 0;  // train.changes hold from the very next step
  options.on_step = [rules = TrainRules(session.config), &hooks](auto reports, auto& actions) mutable {
    if (hooks.on_step) hooks.on_step(reports, actions);
    rules(reports, actions);
  };
  return options;
}

}  // namespace

TrainResult train(RunConfig config, const StudyHooks& hooks, bool overwrite) {
  check_paths(config, true, overwrite);
  forget_search(config);
  Session session = open_study(std::move(config), {.holds_out = false}, hooks.say, hooks.stop);
  if (session.config.train.patience > 0) require_validation(session.data, "train.patience waits for a better value on");
  const LaneCosts costs = settle_lanes(session, 1, kMeasuringSeconds);
  const auto tuner = make_tuner(session.config, 1);
  std::vector<LaneParts> lanes = make_lanes(session, 1);
  const FileLock lock = begin_folder(session);
  describe_session(session);
  for (const auto& line : forecast_lines(make_forecast(session, costs, 1, false))) session.say(line);
  if (hooks.on_begin) hooks.on_begin(study_plan(session.config));

  const std::filesystem::path out = session.config.run.out;
  StudyResult result;
  {
    RunFiles files(out);
    TrainWriter writer(files, metric_named(session.config.tune.metric));
    std::vector<StudyObserver*> observers{&writer, &files};
    observers.insert(observers.end(), hooks.observers.begin(), hooks.observers.end());
    result = Study(train_options(session, hooks), *tuner, lanes_of(lanes), observers).run();
  }
  const bool full = session.config.train.full();
  TrainResult trained{.weights = out / (full ? "model" : "adapter"),
                      .full = full,
                      .base = session.config.model.path,
                      .trial = std::move(result.trials.front())};
  const Trial& trial = trained.trial;
  if (trial.state == TrialState::failed) throw failed(out.string(), "training failed: " + trial.reason);
  const bool keep_best = session.config.train.patience > 0 && trial.best_image;
  write_weights(session, *lanes.front().store, trial, keep_best ? *trial.best_image : *trial.last_image,
                trained.weights);
  return trained;
}

}  // namespace finetune
