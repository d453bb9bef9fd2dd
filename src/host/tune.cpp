#include "host/tune.h"

#include <fmt/format.h>

#include <filesystem>

#include "core/files.h"
#include "engine/admission.h"
#include "engine/schedule.h"
#include "host/forecast.h"
#include "host/replay_source.h"
#include "host/results.h"
#include "host/run_paths.h"
#include "host/study_setup.h"
#include "host/tuner_setup.h"
#include "study/run_folder.h"
#include "study/study_record.h"
#include "study/tensorboard.h"

namespace finetune {
namespace {

void announce(const Session& session, const LaneCosts& costs, std::int64_t resident) {
  const RunConfig& config = session.config;
  describe_session(session);
  session.say(fmt::format("sampler {}, scheduler {}", config.tune.sampler->name, config.tune.scheduler->name));
  for (const auto& line : forecast_lines(make_forecast(session, costs, resident, true))) session.say(line);
}

StudyFacts study_facts(const RunConfig& config) {
  return {.space = search_space(config),
          .metric = config.tune.metric,
          .direction = config.tune.direction,
          .model = std::filesystem::absolute(config.model.path).lexically_normal().string()};
}

void write_best(const Session& session, const StudyResult& result, std::vector<LaneParts>& lanes) {
  if (!result.best) return;
  const Trial& best = result.trials[*result.best];
  const std::filesystem::path out = session.config.run.out;
  if (best.best_image) write_weights(session, *lanes.front().store, best, *best.best_image, out / "best");
  write_file_atomically(out / "best.yaml", to_yaml(best_config(session, best)));
}

}  // namespace

StudySummary tune(RunConfig config, const StudyHooks& hooks, bool overwrite) {
  resolve_replay(config);
  choose_defaults(config);
  validate(config);
  make_tuner(config, std::nullopt);  // a wrong sampler or scheduler is found before anything is read
  check_paths(config, true, overwrite);
  Session session = open_study(std::move(config), {}, hooks.say, hooks.stop);
  require_validation(session.data, "tune compares trials on");
  const LaneCosts costs = settle_lanes(session, wanted_trials(session.config), kMeasuringSeconds);
  const std::int64_t resident = resident_trials(session);
  session.notes.push_back(describe_search(session.config));
  if (const auto choice = settle_method(session.config, {.side_by_side = resident}))
    session.notes.push_back("method auto: " + *choice);
  if (const auto moved = describe_first_look(session.config)) session.notes.push_back(*moved);
  const auto tuner = make_tuner(session.config, resident);
  std::vector<LaneParts> lanes = make_lanes(session, resident + 1);  // one more for the default configuration
  begin_folder(session);
  announce(session, costs, resident);
  if (hooks.on_begin) hooks.on_begin(study_plan(session.config));

  const auto started = Clock::now();
  TrialWriter writer(session.config.run.out, metric_named(session.config.tune.metric));
  std::vector<StudyObserver*> observers = hooks.observers;
  StudyRecord record(std::filesystem::path(session.config.run.out) / "study.db", study_facts(session.config));
  TensorBoardWriter board(session.config.run.out, search_space(session.config),
                          metric_named(session.config.tune.metric));
  observers.insert(observers.begin(), {&writer, &record, &board});
  StudyOptions options = study_options(session, session.config, resident, started, hooks.stop);
  options.on_step = hooks.on_step;
  const StudyResult result = run_study(std::move(options), *tuner, lanes, observers);
  record.finish();
  StudySummary summary = summarize(session, result, seconds_since(started));
  write_best(session, result, lanes);
  read_curves(session.config.run.out, summary);
  compare_parameters(summary);
  find_results(session.config.run.out, summary);
  write_reports(session.config.run.out, summary);
  return summary;
}

}  // namespace finetune
