// One thread per lane, kept for the whole study: OpenMP holds a team of workers for each thread that asks for one, so a
// new thread every round would mean new teams every round. Torch-free.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>

namespace finetune {

/// To be used by one thread. A single lane works on that thread itself: its jobs are done, and throw, in post().
class LaneThreads {
 public:
  explicit LaneThreads(std::size_t lanes);
  ~LaneThreads();  ///< waits for the jobs under way; those behind them are not done
  LaneThreads(const LaneThreads&) = delete;
  LaneThreads& operator=(const LaneThreads&) = delete;

  /// Has the lane do a job behind those that it was given before, and returns at once: the job's number.
  std::int64_t post(std::size_t lane, std::function<void()> job);
  /// Returns when the lane has done the job of that number; without one, all that it was given. Throws again what a job
  /// threw; what was given behind that one is then not done.
  void wait(std::size_t lane, std::int64_t number);
  void wait(std::size_t lane);
  /// Waits for the job under way, and has the lane forget those behind it and what was thrown.
  void drop(std::size_t lane);

  /// Runs job(lane) for every lane named (each at most once), each on its own thread, side by side, and returns when
  /// all are done. The exception of the first lane that threw one is thrown again here, after the others have ended.
  void run(std::span<const std::size_t> lanes, const std::function<void(std::size_t)>& job);

 private:
  // Each lane waits for its own word: one for all would wake a thousand threads a thousand times.
  struct Worker {
    std::mutex mutex;
    std::condition_variable given, done;
    std::deque<std::function<void()>> jobs;
    std::int64_t posted = 0, finished = 0;  // jobs
    bool ended = false;
    std::exception_ptr error;
    std::thread thread;
  };

  static void work(Worker& worker);
  void end();

  std::deque<Worker> workers_;  // none for a single lane
};

}  // namespace finetune
