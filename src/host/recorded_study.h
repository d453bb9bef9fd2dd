// A study with everything that records it in its run's folder: metrics, TensorBoard, study.db and saves. Torch-free:
// lanes are an interface. `tune` and `resume` play theirs here, and so do tests with lanes of their own.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/disk_fault.h"
#include "engine/study.h"
#include "host/disk_wait.h"
#include "host/hooks.h"
#include "study/run_files.h"
#include "study/save_rows.h"
#include "study/saves.h"
#include "study/shared_trials.h"
#include "study/study_record.h"

namespace finetune {

/// What writes metrics and records of trials into the run's files, which outlive it.
using MakeWriter = std::function<std::unique_ptr<StudyObserver>(RunFiles&, const std::vector<Metric>&)>;

/// What watches the study and writes of it while it runs, after everything that records it; `seconds` is its clock,
/// what went before a resume included.
using MakeWatcher = std::function<std::unique_ptr<StudyObserver>(std::function<double()> seconds)>;

struct RecordedStudy {
  std::filesystem::path run;         ///< the folder, which is there
  std::optional<RecordPlace> place;  ///< of the record; nothing: study.db in that folder
  SharedTrialsOptions sharing;       ///< of a record that is shared
  StudyFacts facts;
  std::vector<Metric> metrics;                   ///< that are logged
  MakeWriter writer;                             ///< empty: TrialWriter
  MakeWatcher watcher;                           ///< empty: nothing
  std::optional<std::int64_t> save_every;        ///< run.save_every
  bool saves_beside = true;                      ///< SaverOptions::beside
  std::optional<double> budget_seconds;          ///< tune.budget.seconds
  std::function<void(SaveRows&)> on_begin;       ///< study.db is made: what is kept beside it
  std::function<void()> on_saved = [] {};        ///< SaverOptions::on_saved
  std::optional<SaveRow> from;                   ///< goes on from this save
  std::function<void()> on_first_round = [] {};  ///< the first round is through: there is something to lose
};

struct Played {
  StudyResult result;
  double seconds = 0;             ///< what went before a resume included
  double evaluation_seconds = 0;  ///< of these in evaluations
};

/// `options`: all but stop and savers, which are the hooks'. `disk` is asked and told of everything that is
/// written. All that it leaves is durable. Throws Error.
Played play(const RecordedStudy& study, StudyOptions options, Tuner& tuner, const std::vector<Lane*>& lanes,
            const StudyHooks& hooks, DiskWait& disk);

/// The results are written: marks the run as complete, and its saves go. `place`: its record.
void complete(const std::filesystem::path& run, const RecordPlace& place, const OnDiskFault& on_fault);
/// True also removes the saves of a run that was killed before they went.
bool is_complete(const std::filesystem::path& run, SaveRows& rows);

/// Why a study ends besides its tuner's reasons, for StudyOptions::stop: the user, or seconds of a budget.
std::function<std::optional<EndReason>()> ends_by(std::function<bool()> stop, std::optional<double> budget_seconds,
                                                  std::function<double()> seconds);

}  // namespace finetune
