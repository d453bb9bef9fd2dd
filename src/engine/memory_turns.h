// Lanes whose buffers lie in one memory. They work side by side until there is not enough for one of them, though its
// passes are as small as they get; from then on they take turns, and who waits has given its buffers back. That changes
// no number: only when a lane works. Torch-free.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <utility>
#include <vector>

namespace finetune {

class MemoryTurns {
 public:
  /// `on_taken` is called once, when the first turn is taken.
  explicit MemoryTurns(std::function<void()> on_taken = [] {}) : on_taken_(std::move(on_taken)) {}

  /// A lane, before any of them works: its number. `give_back` is called on any thread, while no step of this one is
  /// under way.
  std::size_t join(std::function<void()> give_back) {
    lanes_.push_back(std::move(give_back));
    return lanes_.size() - 1;
  }

  /// What a lane holds while it works.
  class Turn {
   public:
    bool alone() const { return alone_.owns_lock(); }

   private:
    friend class MemoryTurns;
    std::shared_lock<std::shared_mutex> beside_;
    std::unique_lock<std::shared_mutex> alone_;
  };

  Turn begin(std::size_t lane) {
    Turn turn;
    if (taken_)
      wait_alone(turn, lane);
    else
      turn.beside_ = std::shared_lock(mutex_);
    return turn;
  }

  /// Lets a lane for which there was not enough go on alone. False where it is alone already.
  bool go_alone(Turn& turn, std::size_t lane) {
    if (turn.alone() || lanes_.size() < 2) return false;
    if (!taken_.exchange(true)) on_taken_();
    turn.beside_.unlock();  // first: two that want to be alone must not wait for each other
    wait_alone(turn, lane);
    return true;
  }

  /// For work beside the steps. Not for who has a turn.
  void give_back_all() {
    const std::unique_lock alone(mutex_);
    for (const auto& give_back : lanes_) give_back();
  }

 private:
  void wait_alone(Turn& turn, std::size_t lane) {
    turn.alone_ = std::unique_lock(mutex_);
    for (std::size_t other = 0; other < lanes_.size(); ++other) {
      if (other != lane) lanes_[other]();
    }
  }

  std::function<void()> on_taken_;
  std::shared_mutex mutex_;
  std::atomic<bool> taken_ = false;
  std::vector<std::function<void()>> lanes_;
};

}  // namespace finetune
