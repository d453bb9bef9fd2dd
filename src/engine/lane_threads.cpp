#include "engine/lane_threads.h"

#include <utility>

namespace finetune {

LaneThreads::LaneThreads(std::size_t lanes) {
  if (lanes < 2) return;
  try {
    workers_.resize(lanes);
    for (std::size_t lane = 0; lane < lanes; ++lane) workers_[lane].thread = std::thread([this, lane] { work(lane); });
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
    worker.changed.notify_one();
    worker.thread.join();
  }
}

void LaneThreads::run(std::span<const std::size_t> lanes, const std::function<void(std::size_t)>& job) {
  if (workers_.empty()) {
    for (const std::size_t lane : lanes) job(lane);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    left_ = lanes.size();
  }
  for (const std::size_t lane : lanes) {
    Worker& worker = workers_[lane];
    {
      const std::lock_guard lock(worker.mutex);
      worker.job = &job;
    }
    worker.changed.notify_one();
  }
  {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return left_ == 0; });
  }
  std::exception_ptr first;
  for (const std::size_t lane : lanes) {
    const auto error = std::exchange(workers_[lane].error, nullptr);
    if (error && !first) first = error;
  }
  if (first) std::rethrow_exception(first);
}

void LaneThreads::work(std::size_t lane) {
  Worker& worker = workers_[lane];
  for (;;) {
    const std::function<void(std::size_t)>* job = nullptr;
    {
      std::unique_lock lock(worker.mutex);
      worker.changed.wait(lock, [&] { return worker.ended || worker.job != nullptr; });
      if (worker.ended) return;
      job = std::exchange(worker.job, nullptr);
    }
    try {
      (*job)(lane);
    } catch (...) {
      worker.error = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    if (--left_ == 0) done_.notify_one();
  }
}

}  // namespace finetune
