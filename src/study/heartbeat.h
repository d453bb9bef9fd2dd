// A worker's signs of life, from a thread and a connection of its own, so that a long step silences nobody: its counter
// of beats (study/workers.h) and, as Optuna's workers do, a row in trial_heartbeats for each of its trials that runs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "study/save_rows.h"

namespace finetune {

class Heartbeat {
 public:
  /// Every `every`. A server that is away is tried again at the next beat.
  Heartbeat(RecordPlace place, std::chrono::milliseconds every);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

 private:
  void beat();

  RecordPlace place_;
  std::chrono::milliseconds every_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool over_ = false;
  std::thread thread_;  // last: it works on the members above
};

}  // namespace finetune
