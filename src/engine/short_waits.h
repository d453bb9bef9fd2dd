// Keeps the threads of a CPU run usable on a machine that has other work.
//
// A thread of GCC's OpenMP library waits for its neighbours by spinning for milliseconds, and on a busy machine takes
// the processor from the very thread it waits for. It gives up after a hundred rounds where the process holds more
// OpenMP threads than there are processors (GCC manual, GOMP_SPINCOUNT), so while this object lives a second team is
// kept, asleep. The setting itself is read before main, too early for a program to choose.
#pragma once

#include <semaphore>
#include <thread>

namespace finetune {

class ShortWaits {
 public:
  /// Does nothing where GOMP_SPINCOUNT or OMP_WAIT_POLICY is set: the user has chosen.
  ShortWaits();
  ~ShortWaits();
  ShortWaits(const ShortWaits&) = delete;
  ShortWaits& operator=(const ShortWaits&) = delete;

 private:
  std::binary_semaphore started_{0}, done_{0};
  std::thread owner_;  // of the sleeping team, which lives as long as its owner
};

}  // namespace finetune
