#include <filesystem>
#include <memory>

#include "config/metric_rules.h"
#include "core/error.h"
#include "core/folders.h"
#include "host/conduct.h"
#include "host/recorded_session.h"
#include "host/results.h"
#include "host/study_setup.h"
#include "host/train_rules.h"
#include "host/tuner_setup.h"
#include "study/run_folder.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMetricsName = "metrics.jsonl";

// metrics.jsonl in the output folder itself.
class TrainWriter : public StudyObserver {
 public:
  TrainWriter(RunFiles& files, std::vector<Metric> wanted) : files_(files), wanted_(std::move(wanted)) {}
  void on_start(const Trial&) override { files_.create(kMetricsName); }
  void on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) override {
    for (std::size_t i = 0; i < results.size(); ++i)
      files_.find(kMetricsName)->add(step_line(results[i], trials[i]->tokens));
  }
  void on_evaluation(const Trial& trial, const EvalResult& result, const MetricValues&) override {
    files_.find(kMetricsName)->add(evaluation_line(trial.step, result, wanted_));
  }
  void on_end(const Trial&) override { files_.close(kMetricsName); }

 private:
  RunFiles& files_;
  std::vector<Metric> wanted_;
};

StudyOptions train_options(const Session& session, const StudyHooks& hooks, const std::shared_ptr<TrainRules>& rules) {
  StudyOptions options = study_options(session, session.config, 1);
  options.with_default = false;
  options.keep_last = true;
  options.rung_metric = options.metric;  // nothing is compared with other trials
  options.tasks_at_rungs = true;
  options.lag = 0;  // train.changes hold from the very next step
  options.on_step = [rules, &hooks](auto reports, auto& actions) {
    if (hooks.on_step) hooks.on_step(reports, actions);
    (*rules)(reports, actions);
  };
  options.save_callback = [rules] { return rules->save(); };
  options.load_callback = [rules](const nlohmann::json& state) { rules->load(state); };
  return options;
}

// Only ever replaced whole.
void write_result(const Session& session, ParameterStore& store, const TrainResult& trained,
                  const OnDiskFault& on_fault) {
  const Trial& trial = trained.trial;
  const bool keep_best = session.config.train.patience > 0 && trial.best_image;
  const fs::path fresh = trained.weights.string() + ".tmp";
  remove_tree(fresh, on_fault);
  write_weights(session, store, trial, keep_best ? *trial.best_image : *trial.last_image, fresh);
  remove_tree(trained.weights, on_fault);
  rename_path(fresh, trained.weights, on_fault);
}

}  // namespace

void forget_search(RunConfig& config) {
  config.search.clear();
  config.tune.trials = 1;
  config.tune.budget = {};
  config.tune.warm_start.clear();
  config.tune.sampler = TunerPart{.name = "random"};
  config.tune.scheduler = TunerPart{.name = "none"};
  config.study = {};
}

static std::string base_settings(const ModelConfig& model) {
  if (model.quantize == Quantize::none) return "";
  return std::string(" --set model.quantize=") + to_text(model.quantize) +
         (model.double_quantize ? " --set model.double_quantize=true" : "");
}

TrainResult conduct_train(Session& session, const StudyHooks& hooks, const std::optional<SaveRow>& from) {
  RecordedSession recorded(session, hooks, {{"verb", kTrainVerb}}, from);
  const auto tuner = make_tuner(session.config, 1);
  std::vector<LaneParts> lanes = make_lanes(session, 1);
  const auto rules = std::make_shared<TrainRules>(session.config);
  Played played = recorded.play(
      train_options(session, hooks, rules), *tuner, lanes_of(lanes),
      [](RunFiles& files, const std::vector<Metric>& wanted) { return std::make_unique<TrainWriter>(files, wanted); });
  std::optional<ProfileFacts> profile = profile_of(session, lanes, from ? from->round : 0);
  const fs::path out = session.config.run.out;
  const bool full = session.config.train.full();
  TrainResult trained{.weights = out / (full ? "model" : "adapter"),
                      .full = full,
                      .base = session.config.model.path,
                      .base_settings = base_settings(session.config.model),
                      .metric = session.config.tune.metric,
                      .metrics = wanted_metrics(session.config),
                      .interrupted = played.result.ended == EndReason::interrupted,
                      .profile = std::move(profile),
                      .trial = std::move(played.result.trials.front())};
  if (trained.trial.state == TrialState::failed) throw failed(out.string(), "training failed: " + trained.trial.reason);
  write_result(session, *lanes.front().store, trained, recorded.on_fault());
  trained.can_resume = trained.interrupted && fs::exists(out / "saves");
  if (!trained.interrupted) complete(out, fs::path(out), recorded.on_fault());
  return trained;
}

}  // namespace finetune
