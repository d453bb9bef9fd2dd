#include "engine/calibration/device_clock.h"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <ctime>

namespace finetune {

DeviceClock device_clock(at::Device device) {
  if (device.is_cpu()) {
    return [](const std::function<void()>& work) {
      const auto started = std::chrono::steady_clock::now();
      work();
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    };
  }
  return [device](const std::function<void()>& work) {
    const c10::Stream stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
    c10::Event begin(device.type(), c10::EventFlag::BACKEND_DEFAULT),
        end(device.type(), c10::EventFlag::BACKEND_DEFAULT);
    begin.record(stream);
    work();
    end.record(stream);
    end.synchronize();
    return 1e-3 * begin.elapsedTime(end);
  };
}

DeviceClock thread_clock() {
  return [](const std::function<void()>& work) {
    const auto now = [] {
      timespec time{};
      ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
      return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
    };
    const double started = now();
    work();
    return now() - started;
  };
}

void wait_for_device(at::Device device) {
  if (device.is_cpu()) return;
  const c10::impl::VirtualGuardImpl guard(device.type());
  c10::Event now(device.type());
  now.record(guard.getStream(device));
  now.synchronize();
}

}  // namespace finetune
