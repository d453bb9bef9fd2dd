#include "host/train.h"

#include "core/error.h"
#include "engine/lane_count.h"
#include "engine/starts.h"
#include "host/conduct.h"
#include "host/forecast.h"
#include "host/run_paths.h"
#include "host/shared_run.h"
#include "host/study_setup.h"

namespace finetune {

TrainResult train(RunConfig config, const StudyHooks& hooks, bool overwrite) {
  refuse_study_url(config, "train");
  forget_search(config);  // nor are the files of one asked for
  if (!config.data.test.empty())
    throw bad_input(
        "",
        "data.test is scored by tune, once, at its end; score this run's weights with finetune_tune eval --data FILE");
  check_paths(config, true, overwrite);
  Session session = open_study(std::move(config), {.holds_out = false}, 1, hooks.say, hooks.stop);
  if (session.config.train.patience > 0) require_validation(session.data, "train.patience waits for a better value on");
  const LaneCosts costs = settle_lanes(session, 1, kMeasuringSeconds);
  describe_session(session);
  for (const auto& line : forecast_lines(make_forecast(session, costs, 1, false))) session.say(line);
  compute_starts(session);
  const FileLock lock = begin_folder(session, overwrite);
  if (hooks.on_begin) hooks.on_begin(study_plan(session.config));
  return conduct_train(session, hooks, std::nullopt);
}

}  // namespace finetune
