// study.db, or the same in PostgreSQL: the study as Optuna's relational storage has it, so that
// optuna.load_study(study_name="study") of Optuna 4.9 and 5.0 and optuna-dashboard open it, while the study runs and
// after.
//
//   params               by dotted key; one that a condition leaves out is absent. What changed in training
//   (populations)
//                        stands as it is at the end, the way there in the user attribute `lineage`
//   intermediate values  what trials are compared by at each step where the trial was evaluated: tune.metric, or before
//                        its end tune.rung_metric, which the study's attribute ft_rung_metric then names
//   state                completed COMPLETE, stopped PRUNED, failed FAIL; running and paused RUNNING
//   value                the best evaluation, the trial's metric in report.json
//   times                UTC; Optuna 4.9 takes them for local ones
//   user attributes      of a trial `paused` (true), `reason` and `lineage` as trial.json has them, each where there is
//                        one; of the study `version`, `model`, `time_zone`
//
// Source: Optuna's optuna/storages/_rdb/models.py and storage.py. Torch-free.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "engine/study.h"
#include "study/database.h"
#include "study/save_rows.h"
#include "tuners/space/space.h"

namespace finetune {

/// In ft_trials: of a trial that nobody trains.
constexpr std::int64_t kNobody = -1;

/// trials.trial_id of a trial; trials.number is the id itself.
constexpr std::int64_t row_id(TrialId trial) {
  return trial.value + 1;
}

/// What is said of the study itself.
struct StudyFacts {
  SearchSpace space;
  std::string metric;
  Direction direction = Direction::minimize;
  std::string model;        ///< the checkpoint's path
  std::string rung_metric;  ///< what intermediate values are of, where that is another metric; else ""
};

/// Writes a round in one transaction, after everything else of it: a reader sees whole rounds. The clock is read for
/// the times alone.
class StudyRecord : public StudyObserver {
 public:
  enum class As {
    created,  ///< it is made; there must be none yet
    resumed,  ///< it is there; the study calls on_resume
    joined    ///< it is there, of another process; the study begins
  };
  /// `place`: of a file, or an address. Everything throws Error (failed) naming it; what a round writes is tried again
  /// as `on_fault` says.
  StudyRecord(const RecordPlace& place, const StudyFacts& facts, As as = As::created, OnDiskFault on_fault = {});
  StudyRecord(const StudyRecord&) = delete;
  StudyRecord& operator=(const StudyRecord&) = delete;

  void on_start(const Trial& trial) override;
  void on_take_up(const Trial& trial) override;
  void on_resume(const StudyState& state) override;
  void on_evaluation(const Trial& trial, const EvalResult& result, const MetricValues& values) override;
  void on_action(const Trial& trial, const Action& action) override;
  void on_end(const Trial& trial) override;
  void on_round(std::int64_t round) override;

  /// Writes what came after the last round: the end of whoever the study's end found running. Call it once the study
  /// has run.
  void finish();

  /// What a transaction in which others are looked at has to write of a trial that begins; on_start passes it over.
  void start(const NewTrial& trial);
  /// Within a transaction: throws Error (failed) where others took this process for dead and took up its trials.
  void require_alive();
  Database& database() { return database_; }
  const RecordPlace& place() const { return place_; }
  const OnDiskFault& on_fault() const { return on_fault_; }

 private:
  void insert(TrialId trial, const Params& params, const std::string& now);
  void come_back(const StudyState& state);
  void forget_trials(std::int64_t from);
  void rewind(const Trial& trial);
  void write_params(std::int64_t trial, const Params& params);
  void write_attribute(std::int64_t trial, const char* key, const std::string& json);
  void write_pending();

  RecordPlace place_;
  SearchSpace space_;
  OnDiskFault on_fault_;
  Database database_;
  std::set<TrialId> started_;                   // by start(), before on_start
  std::vector<std::function<void()>> pending_;  // what this round has to write, in order
};

/// Throws Error (bad_input) naming `file` where it says something else of a trial that has ended than `state`.
void require_recorded(const std::filesystem::path& file, const StudyState& state);

}  // namespace finetune
