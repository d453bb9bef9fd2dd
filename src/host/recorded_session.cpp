#include "host/recorded_session.h"

#include <filesystem>
#include <utility>

#include "config/metric_rules.h"
#include "core/error.h"
#include "core/folders.h"
#include "host/run_facts.h"
#include "host/run_paths.h"
#include "host/search_space.h"
#include "host/shared_run.h"

namespace finetune {

RecordedSession::RecordedSession(Session& session, const StudyHooks& hooks, std::map<std::string, std::string> facts,
                                 std::optional<SaveRow> from)
    : session_(session),
      hooks_(hooks),
      facts_(std::move(facts)),
      from_(std::move(from)),
      disk_(session.say, hooks.stop),
      finishes_rounds_(session.config.run.save_every != 0 && from_),
      inputs_(run_inputs(session.config)) {
  session.interrupted = [this] { return hooks_.stop && hooks_.stop() && !finishes_rounds_; };
}

Played RecordedSession::play(StudyOptions options, Tuner& tuner, const std::vector<Lane*>& lanes,
                             const MakeWriter& writer, const MakeWatcher& watcher) {
  const RunConfig& config = session_.config;
  RecordedStudy study;
  study.run = config.run.out;
  study.place = place_of(config);
  study.facts = {.space = search_space(config),
                 .metric = config.tune.metric,
                 .direction = config.tune.direction,
                 .model = std::filesystem::absolute(config.model.path).lexically_normal().string(),
                 .rung_metric = rung_metric(config).name == config.tune.metric ? "" : rung_metric(config).name};
  study.metrics = wanted_metrics(config);
  study.writer = writer;
  study.watcher = watcher;
  study.save_every = config.run.save_every;
  study.budget_seconds = config.tune.budget.seconds;
  study.on_begin = [this](SaveRows& rows) { begin(rows); };
  study.on_saved = [this] { on_saved(); };
  study.from = from_;
  study.on_first_round = [this] { finishes_rounds_ = session_.config.run.save_every != 0; };
  Played played = finetune::play(study, std::move(options), tuner, lanes, hooks_, disk_);
  if (played.result.ended == EndReason::interrupted &&
      played.result.rounds == 0) {  // nothing to report or to go on with
    if (study.place->is_shared()) withdraw(*study.place);
    if (config.study.worker > 0)
      remove_tree(study.run);  // workers/N, made for this one
    else
      clear_out(study.run.string());
    throw Interrupted{};
  }
  return played;
}

const std::vector<RunInput>& RecordedSession::hashed_inputs() {
  if (!std::exchange(inputs_are_hashed_, true)) hash_inputs(inputs_);
  return inputs_;
}

void RecordedSession::begin(SaveRows& rows) const {
  for (const auto& [key, value] : facts_) rows.set_fact(key, value);
  keep_facts(rows, session_, inputs_);
  keep_standing(session_.config, rows);
}

// Notices inputs that change while the study runs; reads all of them once, after the first save.
void RecordedSession::on_saved() {
  if (const auto change = changed_on_disk(inputs_); change && !std::exchange(change_is_said_, true))
    session_.say(*change + " while the run goes on; it uses what it has read, but cannot be resumed with the change");
  if (std::exchange(inputs_are_hashed_, true)) return;
  hash_inputs(inputs_);
  SaveRows rows(place_of(session_.config), disk_.handler());
  keep_inputs(rows, inputs_);
}

}  // namespace finetune
