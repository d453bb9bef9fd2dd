#include "host/recorded_study.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/files.h"
#include "study/run_files.h"
#include "study/run_folder.h"
#include "study/saver.h"
#include "study/tensorboard.h"

namespace finetune {
namespace {

using Clock = std::chrono::steady_clock;

class FirstRound : public StudyObserver {
 public:
  explicit FirstRound(std::function<void()> told) : told_(std::move(told)) {}
  void on_steps(std::span<const StepResult>, std::span<const Trial* const>) override {
    if (const auto told = std::exchange(told_, {})) told();
  }

 private:
  std::function<void()> told_;
};

}  // namespace

Played play(const RecordedStudy& study, StudyOptions options, Tuner& tuner, const std::vector<Lane*>& lanes,
            const StudyHooks& hooks, DiskWait& disk) {
  const RecordPlace place = study.place.value_or(study.run);
  std::optional<SavedStudy> saved;
  if (study.from) {
    saved = read_save(study.run, *study.from, lanes);
    require_recorded(place.database, saved->state);
    if (!study.writer) require_trial_files(study.run, saved->state);
  }
  const auto seconds = [before = saved ? saved->seconds : 0, started = Clock::now()] {
    return before + std::chrono::duration<double>(Clock::now() - started).count();
  };

  // Lanes work side by side: what the slowest took.
  const auto evaluating = [before = saved ? saved->evaluation_seconds : 0, &lanes] {
    double most = 0;
    for (const Lane* lane : lanes) most = std::max(most, lane->evaluation_seconds());
    return before + most;
  };

  RunFiles files(study.run, disk.handler());
  if (saved) {
    files.reopen(saved->files);
    remove_unfinished_files(study.run, disk.handler());  // once nothing is refused any more
  }
  const auto writer =
      study.writer ? study.writer(files, study.metrics) : std::make_unique<TrialWriter>(files, study.metrics);
  TensorBoardWriter board(files, study.facts.space, study.metrics);
  const auto as = saved              ? StudyRecord::As::resumed
                  : place.worker > 0 ? StudyRecord::As::joined
                                     : StudyRecord::As::created;
  StudyRecord record(place, study.facts, as, disk.handler());
  std::optional<SharedTrials> shared;
  if (place.is_shared()) {
    SharedTrialsOptions sharing = study.sharing;
    if (hooks.say) sharing.say = hooks.say;
    shared.emplace(record, files, lanes, study.facts.direction, std::move(sharing));
    options.peers = &*shared;
    options.with_default = options.with_default && place.worker == 0;
    if (saved) shared->come_back(saved->state);
  }
  if (!saved && study.on_begin) {
    SaveRows rows(place, disk.handler());
    study.on_begin(rows);
  }
  Saver saver(files, {.place = place,
                      .every = study.save_every,
                      .beside = study.saves_beside,
                      .seconds = seconds,
                      .evaluation_seconds = evaluating,
                      .say = hooks.say ? hooks.say : [](const std::string&) {},
                      .on_saved = study.on_saved});
  if (saved) saver.go_on_from(*saved);
  FirstRound first_round(study.on_first_round);

  options.stop = ends_by(hooks.stop, study.budget_seconds, seconds);
  options.savers = hooks.savers;
  options.savers.push_back(&saver);
  std::vector<StudyObserver*> observers{writer.get(), &board, &files, &record, &disk, &first_round};
  const auto watcher = study.watcher ? study.watcher(seconds) : nullptr;
  if (watcher) observers.push_back(watcher.get());
  observers.insert(observers.end(), hooks.observers.begin(), hooks.observers.end());
  Study loop(std::move(options), tuner, lanes, std::move(observers));
  StudyResult result = saved ? loop.resume(std::move(saved->state)) : loop.run();
  saver.wait();
  record.finish();
  if (shared) shared->leave();
  sync_files(files.take_changed());
  return {std::move(result), seconds(), evaluating()};
}

void complete(const std::filesystem::path& run, const RecordPlace& place, const OnDiskFault& on_fault) {
  SaveRows(place, on_fault).set_fact("complete", "true");
  remove_saves(run, on_fault);
}

bool is_complete(const std::filesystem::path& run, SaveRows& rows) {
  if (!rows.facts().contains("complete")) return false;
  remove_saves(run);
  return true;
}

std::function<std::optional<EndReason>()> ends_by(std::function<bool()> stop, std::optional<double> budget_seconds,
                                                  std::function<double()> seconds) {
  return [=, stop = std::move(stop), seconds = std::move(seconds)]() -> std::optional<EndReason> {
    if (stop && stop()) return EndReason::interrupted;
    if (budget_seconds && seconds() >= *budget_seconds) return EndReason::seconds;
    return std::nullopt;
  };
}

}  // namespace finetune
