#include "engine/short_waits.h"

#include <atomic>
#include <cstdlib>

namespace finetune {

ShortWaits::ShortWaits() {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  owner_ = std::thread([this] {
    const int team = static_cast<int>(std::thread::hardware_concurrency()) + 1;
    std::atomic<int> members = 0;  // an empty region would be no region
#pragma omp parallel num_threads(team)
    ++members;
    started_.release();
    done_.acquire();
  });
  started_.acquire();
}

ShortWaits::~ShortWaits() {
  if (!owner_.joinable()) return;
  done_.release();
  owner_.join();
}

}  // namespace finetune
