// Seconds of work on a device: events on its stream where it works on its own, the steady clock on the processor.
#pragma once

#include <c10/core/Device.h>

#include <functional>

namespace finetune {

/// Runs `work` once and waits for it; seconds that the device took.
using DeviceClock = std::function<double(const std::function<void()>& work)>;

DeviceClock device_clock(at::Device device);
/// Of the processor: seconds that this thread computed, whatever else runs.
DeviceClock thread_clock();

/// Waits until the device has done all that was asked of it.
void wait_for_device(at::Device device);

}  // namespace finetune
