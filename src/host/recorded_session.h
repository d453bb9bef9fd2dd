// A session's study in its run's folder, whose run.yaml is written: recorded, saved, its inputs watched. Between a
// session and host/recorded_study.h; what tune and train have in common.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/session.h"
#include "host/disk_wait.h"
#include "host/hooks.h"
#include "host/recorded_study.h"
#include "host/run_inputs.h"

namespace finetune {

class RecordedSession {
 public:
  /// Before lanes are made: they learn from it when an interruption ends a round. `facts`: what resume wants to find
  /// besides those of the session. Session and hooks must outlive it, and it the lanes.
  RecordedSession(Session& session, const StudyHooks& hooks, std::map<std::string, std::string> facts,
                  std::optional<SaveRow> from);
  RecordedSession(const RecordedSession&) = delete;
  RecordedSession& operator=(const RecordedSession&) = delete;

  /// Throws Interrupted, and leaves nothing in the run's folder, where that comes before the first round is through.
  Played play(StudyOptions options, Tuner& tuner, const std::vector<Lane*>& lanes, const MakeWriter& writer,
              const MakeWatcher& watcher = {});
  /// What the run read, with hashes; of one that changed meanwhile without. After play().
  const std::vector<RunInput>& hashed_inputs();
  /// Of everything else that the run writes.
  OnDiskFault on_fault() { return disk_.handler(); }

 private:
  void begin(SaveRows& rows) const;
  void on_saved();

  Session& session_;
  const StudyHooks& hooks_;
  std::map<std::string, std::string> facts_;
  std::optional<SaveRow> from_;
  DiskWait disk_;
  // A study that is saved finishes the round that the user interrupts, so that it is saved whole; before the first one
  // is through there is nothing to lose, and nobody waits for it.
  std::atomic<bool> finishes_rounds_;
  std::vector<RunInput> inputs_;
  bool inputs_are_hashed_ = false, change_is_said_ = false;  // on the thread that saves
};

}  // namespace finetune
