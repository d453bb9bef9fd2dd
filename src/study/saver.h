// When a study is saved, and by whom: a thread of its own writes beside the rounds that follow.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <optional>
#include <string>

#include "engine/study.h"
#include "study/run_files.h"
#include "study/saves.h"

namespace finetune {

/// What `run.save_every: auto` decides on, in seconds.
struct SaveTimes {
  double since = 0;        ///< the last save was asked for, or the study began
  double cost = 0;         ///< what the last save took, from the copy in memory to the last byte; 0 before the first
  bool first = false;      ///< there is none yet
  bool evaluated = false;  ///< a rung: what was found out is worth keeping
};

/// Once a minute, after a rung also after ten seconds, the first one at the first rung; and never so often that saves
/// take more than a fiftieth of the time.
bool is_save_due(const SaveTimes& times);

struct SaverOptions {
  std::optional<RecordPlace> place;   ///< nothing: study.db in the run's folder
  std::optional<std::int64_t> every;  ///< rounds; nothing = auto, 0 = never
  bool beside = true;                 ///< false: save() returns when it is done
  std::function<double()> seconds;    ///< of the study so far, what went before a resume included
  std::function<double()> evaluation_seconds = [] { return 0.0; };  ///< of these in evaluations; on the study's thread
  std::function<void(const std::string&)> say = [](const std::string&) {};  ///< from any thread
  std::function<void()> on_saved = [] {};                                   ///< after each save, on the saver's thread
};

class Saver : public StudySaver {
 public:
  /// `files` must outlive it.
  Saver(RunFiles& files, SaverOptions options);
  /// Waits for a save under way.
  ~Saver() override;

  /// Before the first save: what was saved later than `study`, or cut off, goes.
  void go_on_from(const SavedStudy& study) { writer_.go_on_from(study); }

  bool wants_save(std::int64_t round, bool evaluated, bool last) override;
  /// A save that fails is said, and the study goes on: the last valid one stays.
  void save(const StudyState& snapshot) override;
  /// Said too.
  void not_saved(std::int64_t round) override;
  void let_go() override { wait(); }
  /// Returns when nothing is under way.
  void wait();
  /// The round of the last valid save.
  std::optional<std::int64_t> saved_round() const { return saved_round_; }

 private:
  bool is_busy() const;
  bool decide(std::int64_t round, bool evaluated, bool last);
  void say_not_saved(std::int64_t round, const std::string& why) const;
  void write(const SavedStudy& study, const std::vector<std::filesystem::path>& changed);

  RunFiles& files_;
  SaverOptions options_;
  SaveWriter writer_;
  double asked_ = 0;                             // the second at which the last save was asked for
  std::chrono::steady_clock::time_point begun_;  // the study begins to copy what the save under way holds
  std::atomic<double> cost_ = 0;                 // of the last save
  std::optional<std::int64_t> saved_round_;      // read when nothing is under way
  std::future<void> under_way_;                  // last: its thread works on the members above
};

}  // namespace finetune
