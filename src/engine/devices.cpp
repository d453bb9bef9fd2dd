#include "engine/devices.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>

#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"

namespace finetune {
namespace {

// The program links the CPU libraries only, so that it starts on a machine without the CUDA ones. Loading
// libtorch_cuda registers its operators with ATen.
int gpu_count() {
  static const int count = [] {
    if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) return 0;
    return at::hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().deviceCount()) : 0;
  }();
  return count;
}

at::Device parse_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (name == "cuda" || name.starts_with("cuda:")) {
    const std::string number = name == "cuda" ? "0" : name.substr(5);
    const bool digits = !number.empty() && number.size() < 4 && std::all_of(number.begin(), number.end(), ::isdigit);
    if (!digits) throw bad_input("", "run.devices: " + name + " is not a device; use auto, cpu or cuda:N");
    const int index = std::stoi(number);
    if (index >= gpu_count()) {
      throw bad_input("", "run.devices: " + name + " is not there: this machine has " + std::to_string(gpu_count()) +
                              " usable CUDA devices; use cpu, or install the CUDA libraries with ./setup.sh --cuda");
    }
    return {at::kCUDA, static_cast<c10::DeviceIndex>(index)};
  }
  throw bad_input("", "run.devices: " + name + " is not a device; use auto, cpu or cuda:N");
}

std::int64_t number_in(const char* path, const std::string& key, std::int64_t otherwise) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    if (!key.empty() && word != key) continue;
    if (!key.empty() && !(file >> word)) break;
    const auto value = number_from_text(word);
    return value ? static_cast<std::int64_t>(*value) : otherwise;
  }
  return otherwise;
}

}  // namespace

std::vector<at::Device> resolve_devices(const std::vector<std::string>& names) {
  std::vector<at::Device> devices;
  for (const auto& name : names) {
    devices.push_back(parse_device(name));
    if (!devices.back().is_cpu() && std::count(devices.begin(), devices.end(), devices.back()) > 1)
      throw bad_input("", "run.devices: " + devices.back().str() + " is named twice");
  }
  if (devices.empty()) {
    for (int i = 0; i < gpu_count(); ++i) devices.emplace_back(at::kCUDA, static_cast<c10::DeviceIndex>(i));
  }
  if (devices.empty()) devices.emplace_back(at::kCPU);
  return devices;
}

std::int64_t available_bytes(at::Device device) {
  if (!device.is_cpu()) {
    auto* allocator = at::getDeviceAllocator(device.type());
    const auto stats = allocator->getDeviceStats(device.index());
    constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const std::int64_t cached = stats.reserved_bytes[kAll].current - stats.allocated_bytes[kAll].current;
    return static_cast<std::int64_t>(allocator->getMemoryInfo(device.index()).first) + cached;
  }
  const std::int64_t machine = 1024 * number_in("/proc/meminfo", "MemAvailable:", std::int64_t{4} << 20);
  const std::int64_t limit = number_in("/sys/fs/cgroup/memory.max", "", machine);
  const std::int64_t used = number_in("/sys/fs/cgroup/memory.current", "", 0);
  return std::min(machine, std::max<std::int64_t>(0, limit - used));
}

std::string describe_device(at::Device device) {
  if (device.is_cpu()) {
    return "cpu (" + std::to_string(at::get_num_threads()) + " threads, " + at::get_cpu_capability() + ")";
  }
  return device.str();
}

}  // namespace finetune
