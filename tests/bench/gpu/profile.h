// What a device did while some work ran: kernels, and the share of the time in which it had nothing to do.
#pragma once

#include <cstdint>
#include <functional>

namespace finetune::bench {

struct DeviceProfile {
  std::int64_t kernels = 0, copies = 0;  ///< copies: memory copies and fills
  double span_seconds = 0;               ///< from the first activity's start to the last one's end
  double idle_share = 0;                 ///< of the span
};
/// Runs `work` (which must wait for the device) under LibTorch's profiler. All zero on the CPU.
DeviceProfile profile_device(const std::function<void()>& work);

}  // namespace finetune::bench
