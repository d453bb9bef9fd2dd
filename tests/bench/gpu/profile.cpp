#include "bench/gpu/profile.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace finetune::bench {

DeviceProfile profile_device(const std::function<void()>& work) {
  namespace profiler = torch::autograd::profiler;
  using torch::profiler::impl::ActivityType;
  const profiler::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  const std::set<ActivityType> activities{ActivityType::CUDA};  // with CPU, noting each op slows the host
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
  work();
  const auto result = profiler::disableProfiler();
  DeviceProfile profile;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> busy;
  for (const auto& event : result->events()) {
    if (event.deviceType() != c10::DeviceType::CUDA || event.durationNs() == 0) continue;
    const std::string name = event.name();
    const bool copy = name.starts_with("Memcpy") || name.starts_with("Memset");
    ++(copy ? profile.copies : profile.kernels);
    busy.emplace_back(event.startNs(), event.startNs() + event.durationNs());
  }
  if (busy.empty()) return profile;
  std::sort(busy.begin(), busy.end());
  std::uint64_t end = busy.front().first, used = 0;
  for (const auto& [from, to] : busy) {
    if (to <= end) continue;
    used += to - std::max(from, end);
    end = to;
  }
  const std::uint64_t span = end - busy.front().first;
  profile.span_seconds = static_cast<double>(span) * 1e-9;
  profile.idle_share = 1 - static_cast<double>(used) / static_cast<double>(span);
  return profile;
}

}  // namespace finetune::bench
