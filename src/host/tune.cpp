#include "host/tune.h"

#include <fmt/format.h>

#include "engine/admission.h"
#include "engine/room.h"
#include "engine/starts.h"
#include "host/conduct.h"
#include "host/forecast.h"
#include "host/replay_source.h"
#include "host/run_paths.h"
#include "host/shared_run.h"
#include "host/study_setup.h"
#include "host/tuner_setup.h"

namespace finetune {
namespace {

void announce(const Session& session, const std::optional<LaneCosts>& costs, std::int64_t resident) {
  const RunConfig& config = session.config;
  describe_session(session);
  session.say(fmt::format("sampler {}, scheduler {}", config.tune.sampler->name, config.tune.scheduler->name));
  if (!costs) return;  // of trials that are computed elsewhere nothing is known here
  for (const auto& line : forecast_lines(make_forecast(session, costs, resident, true))) session.say(line);
}

}  // namespace

ReportFacts tune(RunConfig config, const StudyHooks& hooks, bool overwrite) {
  resolve_replay(config);
  choose_defaults(config);
  validate(config);
  make_tuner(config, std::nullopt);  // a wrong sampler or scheduler is found before anything is read
  const auto standing = look_at_study(config, overwrite);
  check_paths(config, true, overwrite);
  const PastTrials past = read_past_trials(config);
  Session session = open_study(std::move(config), {}, kSearchTrials, hooks.say, hooks.stop);
  require_validation(session.data, "tune compares trials on");
  const auto costs = lanes_of_study(session, hooks, wanted_trials(session.config));
  const std::int64_t resident = resident_in_study(session, hooks);
  session.notes.push_back(describe_search(session.config));
  for (const std::string& line : past.lines()) session.notes.push_back(line);
  if (const auto choice = settle_method(session.config, {.side_by_side = resident, .past_trials = past.count()}))
    session.notes.push_back("method auto: " + *choice);
  if (const auto moved = describe_first_look(session.config)) session.notes.push_back(*moved);
  session.config.tune.concurrent = resident;
  announce(session, costs, resident);
  compute_starts(session);
  if (standing && standing->exists) join(session.config, *standing);
  const FileLock lock = begin_folder(session, overwrite);
  if (hooks.on_begin) hooks.on_begin(study_plan(session.config));
  return conduct_tune(session, hooks, past, std::nullopt);
}

}  // namespace finetune
