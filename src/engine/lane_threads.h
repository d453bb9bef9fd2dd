// One thread per lane, kept for the whole study: OpenMP holds a team of workers for each thread that asks for one, so a
// new thread every round would mean new teams every round. Torch-free.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace finetune {

class LaneThreads {
 public:
  explicit LaneThreads(std::size_t lanes);
  ~LaneThreads();
  LaneThreads(const LaneThreads&) = delete;
  LaneThreads& operator=(const LaneThreads&) = delete;

  /// Runs job(lane) for every lane named (each at most once), each on its own thread, side by side, and returns when
  /// all are done; a study of one lane works on the calling thread. The exception of the first lane that threw one is
  /// thrown again here, after the others have ended.
  void run(std::span<const std::size_t> lanes, const std::function<void(std::size_t)>& job);

 private:
  // Each lane waits for its own word: one for all would wake a thousand threads a thousand times.
  struct Worker {
    std::mutex mutex;
    std::condition_variable changed;
    const std::function<void(std::size_t)>* job = nullptr;  // to be done
    bool ended = false;
    std::exception_ptr error;  // of the job that was done last
    std::thread thread;
  };

  void work(std::size_t lane);
  void end();

  std::mutex mutex_;
  std::condition_variable done_;
  std::size_t left_ = 0;        // lanes that have not ended the job
  std::deque<Worker> workers_;  // none for a single lane
};

}  // namespace finetune
