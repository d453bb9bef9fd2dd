#include "host/resume.h"

#include <fmt/format.h>

#include <filesystem>

#include "config/config.h"
#include "core/error.h"
#include "core/folders.h"
#include "core/strict_json.h"
#include "core/text.h"
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

void require_run(const fs::path& run) {
  if (!fs::is_directory(run)) throw bad_input(run.string(), "is not a folder");
  for (const char* name : {"run.yaml", "study.db"}) {
    if (!fs::exists(run / name))
      throw bad_input(run.string(), std::string("is not a study that can be gone on with: it has no ") + name);
  }
  require_no_links(run);
}

StudySummary complete_summary(const fs::path& run) {
  const std::string where = (run / "report.json").string();
  StudySummary summary = summary_from_json(where, read_json_file(where));
  read_curves(run, summary);
  compare_parameters(summary);
  find_results(run, summary);
  return summary;
}

// The run's configuration as it was typed, in the folder it was typed in; its results go where they are.
RunConfig config_of(const fs::path& run, const std::string& directory) {
  RunConfig config = load_config({.file = (run / "run.yaml").string()});
  std::error_code error;
  fs::current_path(directory, error);
  if (error) throw bad_input(directory, "the run was begun in this folder: " + error.message());
  if (!fs::equivalent(config.run.out, run, error) || error) config.run.out = run.string();  // it was moved or copied
  choose_defaults(config);
  validate(config);
  check_paths(config, false, false);
  return config;
}

void announce(const Session& session, const LaneCosts& costs, const SaveRow& from) {
  describe_session(session);
  session.say(fmt::format("goes on after round {}; sampler {}, scheduler {}", with_commas(from.round),
                          session.config.tune.sampler->name, session.config.tune.scheduler->name));
  for (const auto& line : forecast_lines(make_forecast(session, costs, *session.config.tune.concurrent, true)))
    session.say(line);
}

}  // namespace

StudySummary resume(const std::string& folder, const StudyHooks& hooks, const ResumeOptions& options) {
  const fs::path run = fs::absolute(folder).lexically_normal();
  require_run(run);
  const FileLock lock = hold_folder(run.string());
  SaveRows rows(run, {}, Access::resume);
  const RunFacts facts(run, rows.facts());
  if (is_complete(run, rows)) {
    if (hooks.say) hooks.say(folder + ": is complete; there is nothing to go on with");
    return complete_summary(run);
  }
  const auto from = rows.last();
  if (!from) throw bad_input(folder, "has no save to go on from; begin again with the same command and --overwrite");
  facts.require_same_program();
  RunConfig config = config_of(run, facts.working_directory());
  facts.require_same_inputs(config);
  Session session = open_study(std::move(config), {}, hooks.say, hooks.stop);
  facts.require_same_processor(session, options.elsewhere);
  const LaneCosts costs = settle_lanes(session, *session.config.tune.concurrent, kMeasuringSeconds);
  announce(session, costs, *from);
  if (hooks.on_begin) hooks.on_begin(study_plan(session.config));
  return conduct(session, hooks, from);
}

}  // namespace finetune
