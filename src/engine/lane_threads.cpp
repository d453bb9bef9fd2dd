#include "engine/lane_threads.h"

#include <iterator>
#include <utility>

namespace finetune {

LaneThreads::LaneThreads(std::size_t lanes) {
  if (lanes < 2) return;
  try {
    workers_.resize(lanes);
    for (Worker& worker : workers_) worker.thread = std::thread([&worker] { work(worker); });
  } catch (...) {  // there is no memory for one; those that there are must end before they go
    end();
    throw;
  }
}

LaneThreads::~LaneThreads() {
  end();
}

void LaneThreads::end() {
  for (Worker& worker : workers_) {
    if (!worker.thread.joinable()) continue;
    {
      const std::lock_guard lock(worker.mutex);
      worker.ended = true;
    }
    worker.given.notify_one();
    worker.thread.join();
  }
}

std::int64_t LaneThreads::post(std::size_t lane, std::function<void()> job) {
  if (workers_.empty()) {
    job();
    return 0;
  }
  Worker& worker = workers_[lane];
  std::int64_t number = 0;
  {
    const std::lock_guard lock(worker.mutex);
    worker.jobs.push_back(std::move(job));
    number = ++worker.posted;
  }
  worker.given.notify_one();
  return number;
}

void LaneThreads::wait(std::size_t lane, std::int64_t number) {
  if (workers_.empty()) return;
  Worker& worker = workers_[lane];
  std::unique_lock lock(worker.mutex);
  worker.done.wait(lock, [&] { return worker.finished >= number; });
  if (worker.error) std::rethrow_exception(std::exchange(worker.error, nullptr));
}

void LaneThreads::wait(std::size_t lane) {
  if (!workers_.empty()) wait(lane, workers_[lane].posted);
}

void LaneThreads::drop(std::size_t lane) {
  if (workers_.empty()) return;
  Worker& worker = workers_[lane];
  std::unique_lock lock(worker.mutex);
  worker.posted -= std::ssize(worker.jobs);
  worker.jobs.clear();
  worker.done.wait(lock, [&] { return worker.finished >= worker.posted; });
  worker.error = nullptr;
}

void LaneThreads::run(std::span<const std::size_t> lanes, const std::function<void(std::size_t)>& job) {
  for (const std::size_t lane : lanes) post(lane, [&job, lane] { job(lane); });
  std::exception_ptr first;
  for (const std::size_t lane : lanes) {
    try {
      wait(lane);
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

void LaneThreads::work(Worker& worker) {
  std::unique_lock lock(worker.mutex);
  for (;;) {
    worker.given.wait(lock, [&] { return worker.ended || !worker.jobs.empty(); });
    if (worker.ended) return;
    if (!worker.error) {
      const std::function<void()> job = std::move(worker.jobs.front());
      worker.jobs.pop_front();
      lock.unlock();
      std::exception_ptr error;
      try {
        job();
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      worker.error = error;
      ++worker.finished;
    }
    if (worker.error) {  // what was to follow it would find another lane than it was meant for
      worker.jobs.clear();
      worker.finished = worker.posted;
    }
    worker.done.notify_one();
  }
}

}  // namespace finetune
