#include "host/resume.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "config/config.h"
#include "core/error.h"
#include "core/folders.h"
#include "core/text.h"
#include "engine/room.h"
#include "engine/schedule.h"
#include "engine/starts.h"
#include "host/conduct.h"
#include "host/forecast.h"
#include "host/recorded_study.h"
#include "host/run_facts.h"
#include "host/run_paths.h"
#include "host/study_setup.h"
#include "host/tuner_setup.h"
#include "study/run_folder.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

// Where its record lies.
RecordPlace require_run(const fs::path& run) {
  if (!fs::is_directory(run)) throw bad_input(run.string(), "is not a folder");
  const auto require = [&](const char* name) {
    if (!fs::exists(run / name))
      throw bad_input(run.string(), std::string("is not a study that can be gone on with: it has no ") + name);
  };
  require("run.yaml");
  require_no_links(run);
  const RunConfig config = load_config({.file = (run / "run.yaml").string()});
  if (config.study.url) return {*config.study.url, config.study.worker, run};
  require("study.db");
  return run;
}

// The run's configuration as it was typed, in the folder it was typed in; its results go where they are.
RunConfig config_of(const fs::path& run, const std::string& directory, const MemoryFiles& memory) {
  RunConfig config = load_config({.file = (run / "run.yaml").string()});
  std::error_code error;
  fs::current_path(directory, error);
  if (error) throw bad_input(directory, "the run was begun in this folder: " + error.message());
  if (!fs::equivalent(config.run.out, run, error) || error) config.run.out = run.string();  // it was moved or copied
  config.data.memory = memory;
  validate(config);
  check_paths(config, false, false);
  return config;
}

// Trials that are waited for have none of their steps behind them.
WorkLeft work_left(const RunConfig& config, const SavedProgress& done, bool searches) {
  const double trials = static_cast<double>(config.tune.trials - done.ended) - done.begun;
  return {.trials = std::max(0.0, trials), .baselines = searches && !done.has_baselines};
}

// A shared study has the trials of a worker that is gone; who joins takes them up.
std::string way_to_begin_again(const fs::path& run) {
  const RunConfig config = load_config({.file = (run / "run.yaml").string()});
  return config.study.url
             ? "run the same command again, without --overwrite: it joins the study and takes the trials up"
             : "begin again with the same command and --overwrite";
}

void announce(const Session& session, const std::optional<LaneCosts>& costs, const SaveRow& from, bool searches) {
  const RunConfig& config = session.config;
  describe_session(session);
  const std::string method =
      searches ? fmt::format("; sampler {}, scheduler {}", config.tune.sampler->name, config.tune.scheduler->name) : "";
  const SavedProgress done = read_progress(config.run.out, from, last_step(config.train));
  const std::string ended = searches ? fmt::format("{} of {} trials have ended, ", done.ended, config.tune.trials) : "";
  session.say(fmt::format("goes on after round {}: {}{} gone{}", with_commas(from.round), ended,
                          duration_text(done.seconds), method));
  if (!costs) return;  // of trials that are computed elsewhere nothing is known here
  const std::int64_t resident = searches ? *config.tune.concurrent : 1;
  for (const auto& line :
       forecast_lines(make_forecast(session, costs, resident, searches, work_left(config, done, searches))))
    session.say(line);
}

}  // namespace

Resumed resume(const std::string& folder, const StudyHooks& hooks, const ResumeOptions& options) {
  const fs::path run = fs::absolute(folder).lexically_normal();
  const RecordPlace place = require_run(run);
  const FileLock lock = hold_folder(run.string());
  SaveRows rows(place, {}, Access::resume);
  const RunFacts facts(run, rows.facts());
  const bool searches = facts.verb() == kTuneVerb;
  if (is_complete(run, rows)) {
    if (hooks.say) hooks.say(folder + ": is complete; there is nothing to go on with");
    return {.study = searches ? std::optional(read_report(run)) : std::nullopt};
  }
  const auto from = find_save(run, rows, hooks.say);
  if (!from) throw bad_input(folder, "has no save to go on from; " + way_to_begin_again(run));
  facts.require_same_program();
  facts.require_same_workers(hooks.workers);
  const bool moves = fs::current_path() != facts.working_directory();
  if (moves && hooks.say)
    hooks.say("relative paths begin at " + facts.working_directory() + ", where the run was begun");
  RunConfig config = config_of(run, facts.working_directory(), options.memory);
  if (!searches) forget_search(config);
  facts.require_same_inputs(config);
  const PastTrials past = read_past_trials(config);  // of which the save holds what counted
  Session session =
      open_study(std::move(config), {.holds_out = searches}, searches ? kSearchTrials : 1, hooks.say, hooks.stop);
  facts.require_same_processor(session, options.elsewhere);
  const auto costs = lanes_of_study(session, hooks, searches ? *session.config.tune.concurrent : 1);
  announce(session, costs, *from, searches);
  compute_starts(session);
  if (hooks.on_begin) hooks.on_begin(study_plan(session.config));
  if (searches) return {.study = conduct_tune(session, hooks, past, from)};
  return {.trained = conduct_train(session, hooks, from)};
}

}  // namespace finetune
