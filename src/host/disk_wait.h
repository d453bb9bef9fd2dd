// A disk that takes nothing more, while a study runs: the run waits, says so once, and goes on when it can.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>

#include "core/disk_fault.h"
#include "engine/study.h"

namespace finetune {

/// What a fault says to people: "runs/first/study.db: No space left on device: 12 KiB are to be written, 3 KiB are
/// free".
std::string fault_text(const DiskFault& fault, std::uint64_t free_bytes);

/// Any thread. As an observer it says when a round could be written again.
class DiskWait : public StudyObserver {
 public:
  /// `say` may be empty; `stop`: the user asked the run to end, which ends the waiting with an Error (interrupted).
  DiskWait(std::function<void(const std::string&)> say, std::function<bool()> stop);
  /// Must be outlived.
  OnDiskFault handler();
  void on_round(std::int64_t) override;

 private:
  bool wait(const DiskFault& fault);

  std::function<void(const std::string&)> say_;
  std::function<bool()> stop_;
  std::mutex mutex_;
  bool waiting_ = false;          // it was said, and nothing has been written since
  std::atomic<int> waiters_ = 0;  // threads: a save may still wait when the round beside it is written
};

}  // namespace finetune
