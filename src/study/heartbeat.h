// Signs of life, from a thread and a connection of its own, so that a long step silences nobody: a worker's counter of
// beats (study/workers.h) and, as Optuna's workers do, a row in trial_heartbeats for each of its trials that runs. The
// same thread looks at those of the others, since it knows whether the server was there all the while.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "study/save_rows.h"
#include "study/workers.h"

namespace finetune {

class Heartbeat {
 public:
  /// Every `every`. A server that is away is tried again at the next beat. Who has not beaten for `dead_after` is dead.
  Heartbeat(RecordPlace place, std::chrono::milliseconds every, std::chrono::milliseconds dead_after);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  /// Workers that were dead at the last beat.
  std::vector<WorkerRow> dead();

 private:
  void beat();

  RecordPlace place_;
  std::chrono::milliseconds every_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool over_ = false;
  LifeWatch watch_;  // the thread's
  std::vector<WorkerRow> dead_;
  std::thread thread_;  // last: it works on the members above
};

}  // namespace finetune
