#include "host/conduct.h"

#include <atomic>
#include <filesystem>
#include <utility>

#include "config/config.h"
#include "config/params.h"
#include "core/files.h"
#include "core/folders.h"
#include "host/disk_wait.h"
#include "host/recorded_study.h"
#include "host/results.h"
#include "host/run_facts.h"
#include "host/study_setup.h"
#include "host/tuner_setup.h"
#include "study/run_folder.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

StudyFacts study_facts(const RunConfig& config) {
  return {.space = search_space(config),
          .metric = config.tune.metric,
          .direction = config.tune.direction,
          .model = fs::absolute(config.model.path).lexically_normal().string()};
}

// Notices inputs that change while the study runs; knows their content once the first save is made.
class Inputs {
 public:
  Inputs(const RunConfig& config, const std::function<void(const std::string&)>& say)
      : inputs_(run_inputs(config)), say_(say), run_(config.run.out) {}
  const std::vector<RunInput>& list() const { return inputs_; }

  void on_saved() {
    if (const auto change = changed_on_disk(inputs_); change && !std::exchange(said_, true))
      say_(*change + " while the study runs; it goes on with what it has read, but will not be resumed with it");
    if (std::exchange(hashed_, true)) return;
    hash_inputs(inputs_);
    SaveRows rows(run_);
    keep_inputs(rows, inputs_);
  }

 private:
  std::vector<RunInput> inputs_;
  std::function<void(const std::string&)> say_;
  fs::path run_;
  bool said_ = false, hashed_ = false;
};

// Only ever replaced whole.
void write_best(const Session& session, const StudyResult& result, std::vector<LaneParts>& lanes,
                const OnDiskFault& on_fault) {
  const fs::path run = session.config.run.out, best = run / "best", fresh = run / "best.tmp";
  remove_tree(fresh, on_fault);
  if (!result.best) {
    remove_tree(best, on_fault);
    remove_file(run / "best.yaml", on_fault);
    return;
  }
  const Trial& winner = result.trials[*result.best];
  if (winner.best_image) {
    write_weights(session, *lanes.front().store, winner, *winner.best_image, fresh);
    remove_tree(best, on_fault);
    rename_path(fresh, best, on_fault);
  }
  write_file_atomically(run / "best.yaml", to_yaml(best_config(session, winner)), on_fault);
}

StudySummary write_results(const Session& session, const StudyResult& result, std::vector<LaneParts>& lanes,
                           double seconds, const OnDiskFault& on_fault) {
  const fs::path run = session.config.run.out;
  StudySummary summary = summarize(session, result, seconds);
  write_best(session, result, lanes, on_fault);
  read_curves(run, summary);
  compare_parameters(summary);
  find_results(run, summary);
  write_reports(run, summary, on_fault);
  return summary;
}

}  // namespace

StudySummary conduct(Session& session, const StudyHooks& hooks, const std::optional<SaveRow>& from) {
  const RunConfig& config = session.config;
  const std::int64_t resident = *config.tune.concurrent;
  // A study that is saved finishes the round that the user interrupts, so that it is saved whole; before the first one
  // is through there is nothing to lose, and nobody waits for it.
  std::atomic<bool> finishes_rounds = config.run.save_every != 0 && from;
  session.interrupted = [&] { return hooks.stop && hooks.stop() && !finishes_rounds; };
  const auto tuner = make_tuner(config, resident);
  std::vector<LaneParts> lanes = make_lanes(session, resident + 1);  // one more for the default configuration
  Inputs inputs(config, session.say);
  RecordedStudy study;
  study.run = config.run.out;
  study.facts = study_facts(config);
  study.save_every = config.run.save_every;
  study.budget_seconds = config.tune.budget.seconds;
  study.on_begin = [&](SaveRows& rows) { keep_facts(rows, session, inputs.list()); };
  study.on_saved = [&] { inputs.on_saved(); };
  study.from = from;
  study.on_first_round = [&] { finishes_rounds = config.run.save_every != 0; };
  DiskWait disk(session.say, hooks.stop);
  const Played played = play(study, study_options(session, config, resident), *tuner, lanes_of(lanes), hooks, disk);
  StudySummary summary = write_results(session, played.result, lanes, played.seconds, disk.handler());
  if (!summary.interrupted) complete(config.run.out, disk.handler());
  return summary;
}

}  // namespace finetune
