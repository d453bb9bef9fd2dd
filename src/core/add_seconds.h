// How long something took, by the clock: for reports and placement, never for what decides a number.
#pragma once

#include <chrono>

namespace finetune {

/// Adds the seconds of its life to a sum, which must outlive it.
class AddSeconds {
 public:
  explicit AddSeconds(double& sum) : sum_(sum) {}
  ~AddSeconds() { sum_ += std::chrono::duration<double>(Clock::now() - begun_).count(); }
  AddSeconds(const AddSeconds&) = delete;
  AddSeconds& operator=(const AddSeconds&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  double& sum_;
  Clock::time_point begun_ = Clock::now();
};

}  // namespace finetune
