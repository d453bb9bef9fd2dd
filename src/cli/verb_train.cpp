#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/prepare.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "cli/tuner_setup.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/files.h"
#include "core/number.h"
#include "engine/schedule.h"
#include "study/run_folder.h"

namespace finetune {
namespace {

// metrics.jsonl in the output folder itself.
class TrainWriter : public StudyObserver {
 public:
  explicit TrainWriter(const std::filesystem::path& folder) : file_(folder / "metrics.jsonl") {}
  void on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) override {
    for (std::size_t i = 0; i < results.size(); ++i) file_.step(results[i], trials[i]->tokens);
  }
  void on_evaluation(const Trial& trial, const EvalResult& result, double) override {
    file_.evaluation(trial.step, result.loss);
  }
  void on_round(std::int64_t) override { file_.flush(); }

 private:
  MetricsFile file_;
};

// A schedule that a population found, and patience: both are rules of the host, told by its per-step callback.
class TrainRules {
 public:
  explicit TrainRules(const RunConfig& config) : config_(config) {}
  void operator()(std::span<const Report> reports, std::vector<Action>& actions) {
    const Report& report = reports.front();
    for (const auto& change : config_.train.changes) {
      if (change.step == report.step)
        actions.push_back({.trial = report.trial, .what = Action::Do::change, .params = change.params});
    }
    if (config_.train.patience == 0 || !report.metric) return;
    const double value = to_minimized(*report.metric, config_.tune.direction);
    if (!best_ || value < *best_) {
      best_ = value;
      without_gain_ = 0;
    } else if (++without_gain_ >= config_.train.patience) {
      actions = {{.trial = report.trial,
                  .what = Action::Do::stop,
                  .reason = fmt::format("no improvement in {} evaluations", without_gain_)}};
    }
  }

 private:
  const RunConfig& config_;
  std::optional<double> best_;
  std::int64_t without_gain_ = 0;
};

}  // namespace

int run_train(const Arguments& arguments) {
  RunConfig config = prepare_config(arguments, {"model.path", "data.train", "run.out"});
  check_paths(config, true, arguments.overwrite);
  config.search.clear();
  config.tune.trials = 1;
  config.tune.budget = {};
  config.tune.sampler = TunerPart{.name = "random"};
  config.tune.scheduler = TunerPart{.name = "none"};
  const Session session = open_session(std::move(config), Verb::train);
  const auto tuner = make_tuner(session.config, 1);
  std::vector<LaneParts> lanes = make_lanes(session, 1);
  const std::filesystem::path out = session.config.run.out;
  make_out(out);
  write_file_atomically(out / "run.yaml", run_yaml(session));
  for (const auto& note : session.notes) std::cerr << note << "\n";

  const InterruptGuard guard;
  StudyOptions options;
  options.configure = [&](const Params& params) { return configure_trial(session.config, params); };
  options.metric = session.config.tune.metric;
  options.direction = session.config.tune.direction;
  options.has_validation = !session.valid.examples.empty();
  options.eval_every = session.config.run.eval_every;
  options.with_default = false;
  options.keep_last = true;
  options.on_step = TrainRules(session.config);
  options.stop = [] { return InterruptGuard::requested(); };
  StudyResult result;
  {
    TrainWriter writer(out);
    Progress progress({.terminal = isatty(STDERR_FILENO) != 0,
                       .trials = 1,
                       .steps_per_trial = last_step(session.config.train),
                       .metric = session.config.tune.metric,
                       .direction = session.config.tune.direction});
    result = Study(std::move(options), *tuner, {lanes.front().trainer.get()}, {&writer, &progress}).run();
  }
  const Trial& trial = result.trials.front();
  if (trial.state == TrialState::failed) throw failed(out.string(), "training failed: " + trial.reason);
  const bool keep_best = session.config.train.patience > 0 && trial.best_image;
  const TrialImage& image = keep_best ? *trial.best_image : *trial.last_image;
  const std::string place = session.config.train.method == "full" ? "model" : "adapter";
  write_weights(session, *lanes.front().store, trial, image, out / place);

  nlohmann::ordered_json json = {{"out", (out / place).string()},
                                 {"steps", trial.step},
                                 {"tokens", trial.tokens},
                                 {"train_loss", number_to_json(trial.train_loss)}};
  if (trial.best_metric) json["best"] = {{"metric", number_to_json(*trial.best_metric)}, {"step", trial.best_step}};
  if (trial.metric) json["valid_loss"] = number_to_json(*trial.metric);
  if (arguments.json) {
    std::cout << json.dump() << "\n";
  } else {
    std::cout << fmt::format("{} steps, train loss {:.5g}", trial.step, trial.train_loss);
    if (trial.metric) std::cout << fmt::format(", {} {:.5g}", session.config.tune.metric, *trial.metric);
    std::cout << "; weights in " << (out / place).string() << "\n";
  }
  return InterruptGuard::requested() ? 130 : 0;
}

}  // namespace finetune
