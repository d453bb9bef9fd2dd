#include "cli/tune_model.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <iostream>

#include "cli/prepare.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "cli/tuner_setup.h"
#include "config/config.h"
#include "core/files.h"
#include "core/text.h"
#include "engine/devices.h"
#include "engine/schedule.h"
#include "study/run_folder.h"

namespace finetune {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

StudyOptions study_options(const Session& session, std::int64_t resident, Clock::time_point started,
                           const StudyHooks& hooks) {
  const RunConfig& config = session.config;
  StudyOptions options;
  options.configure = [&config](const Params& params) { return configure_trial(config, params); };
  options.metric = config.tune.metric;
  options.direction = config.tune.direction;
  options.eval_every = config.run.eval_every;
  options.concurrent = resident;
  options.lag = session.devices.front().is_cpu() ? 0 : 1;
  options.budget = config.tune.budget;
  options.on_step = hooks.on_step;
  options.stop = [budget = config.tune.budget.seconds, started, &hooks] {
    return (hooks.stop && hooks.stop()) || (budget && seconds_since(started) >= *budget);
  };
  return options;
}

void announce(const Session& session, std::int64_t resident) {
  const RunConfig& config = session.config;
  std::cerr << fmt::format("{}: {} layers, width {}, {} parameters; {}\n", config.model.path,
                           session.model.options.layers, session.model.options.width,
                           with_commas(base_parameters(session.model.options)),
                           describe_device(session.devices.front()));
  std::cerr << fmt::format("train {} examples ({}), valid {} examples ({})\n",
                           with_commas(static_cast<long long>(session.train.examples.size())), session.train.format,
                           with_commas(static_cast<long long>(session.valid.examples.size())), session.valid_source);
  for (const auto& note : session.notes) std::cerr << note << "\n";
  std::cerr << fmt::format("{} trials of {} steps, {} side by side; sampler {}, scheduler {}\n", config.tune.trials,
                           last_step(config.train), resident, config.tune.sampler->name, config.tune.scheduler->name);
}

void write_best(const Session& session, const StudyResult& result, std::vector<LaneParts>& lanes) {
  if (!result.best) return;
  const Trial& best = result.trials[*result.best];
  const std::filesystem::path out = session.config.run.out;
  if (best.best_image) write_weights(session, *lanes.front().store, best, *best.best_image, out / "best");
  write_file_atomically(out / "best.yaml", to_yaml(best_config(session, best)));
}

}  // namespace

StudySummary tune_model(RunConfig config, const StudyHooks& hooks, bool overwrite) {
  choose_defaults(config);
  validate(config);
  make_tuner(config, std::nullopt);  // a wrong sampler or scheduler is found before anything is read
  check_paths(config, true, overwrite);
  Session session = open_session(std::move(config), Verb::tune);
  const std::int64_t resident = resident_trials(session);
  if (const auto choice = settle_method(session.config, {.side_by_side = resident}))
    session.notes.push_back("method auto: " + *choice);
  const auto tuner = make_tuner(session.config, resident);
  std::vector<LaneParts> lanes = make_lanes(session, resident + 1);  // one more for the default configuration
  make_out(session.config.run.out);
  write_file_atomically(std::filesystem::path(session.config.run.out) / "run.yaml", run_yaml(session));
  announce(session, resident);

  const auto started = Clock::now();
  TrialWriter writer(session.config.run.out);
  std::vector<Lane*> lane_pointers;
  for (auto& lane : lanes) lane_pointers.push_back(lane.trainer.get());
  std::vector<StudyObserver*> observers = hooks.observers;
  observers.insert(observers.begin(), &writer);
  StudyResult result;
  {
    Progress progress({.terminal = isatty(STDERR_FILENO) != 0,
                       .trials = session.config.tune.trials,
                       .steps_per_trial = last_step(session.config.train),
                       .metric = session.config.tune.metric,
                       .direction = session.config.tune.direction});
    observers.push_back(&progress);
    result = Study(study_options(session, resident, started, hooks), *tuner, lane_pointers, observers).run();
  }
  const bool by_host = hooks.stop && hooks.stop();
  if (result.interrupted && !by_host) result.budget_hit = "seconds";
  result.interrupted = by_host;
  StudySummary summary = summarize(session, result, seconds_since(started));
  write_best(session, result, lanes);
  read_curves(session.config.run.out, summary);
  write_reports(session.config.run.out, summary);
  return summary;
}

}  // namespace finetune
