#include "engine/lane_threads.h"

#include <utility>

namespace finetune {

LaneThreads::LaneThreads(std::size_t lanes) : due_(lanes, false), errors_(lanes) {
  if (lanes < 2) return;
  try {
    for (std::size_t lane = 0; lane < lanes; ++lane) threads_.emplace_back([this, lane] { work(lane); });
  } catch (...) {  // there is no memory for one; those that there are must end before they go
    end();
    throw;
  }
}

LaneThreads::~LaneThreads() {
  end();
}

void LaneThreads::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void LaneThreads::run(std::span<const std::size_t> lanes, const std::function<void(std::size_t)>& job) {
  if (threads_.empty()) {
    for (const std::size_t lane : lanes) job(lane);
    return;
  }
  std::unique_lock lock(mutex_);
  job_ = &job;
  for (const std::size_t lane : lanes) due_[lane] = true;
  left_ = lanes.size();
  changed_.notify_all();
  changed_.wait(lock, [this] { return left_ == 0; });
  for (const std::size_t lane : lanes) {
    if (const auto error = std::exchange(errors_[lane], nullptr)) {
      for (auto& other : errors_) other = nullptr;
      std::rethrow_exception(error);
    }
  }
}

void LaneThreads::work(std::size_t lane) {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return ended_ || due_[lane]; });
    if (ended_) return;
    due_[lane] = false;
    const auto& job = *job_;
    lock.unlock();
    std::exception_ptr error;
    try {
      job(lane);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    errors_[lane] = error;
    if (--left_ == 0) changed_.notify_all();
  }
}

}  // namespace finetune
