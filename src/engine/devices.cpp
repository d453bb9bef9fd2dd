#include "engine/devices.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"
#include "kernels/torch/gpu.h"

namespace finetune {
namespace {

// What LibTorch's CUDA half warns of while it counts devices is why it counts none ("driver too old").
class Overheard : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override {
    if (text.empty()) text = warning.msg().substr(0, warning.msg().find('\n'));
  }
  std::string text;
};

bool is_there(const char* path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

bool find_driver() {
  if (is_there("/proc/driver/nvidia/version") || is_there("/dev/nvidiactl") || is_there("/dev/nvidia0")) return true;
  return dlopen("libcuda.so.1", RTLD_LAZY) != nullptr;
}

// The program links the CPU libraries only, so that it starts on a machine without the CUDA ones. Loading
// libtorch_cuda registers its operators with ATen.
std::string load_cuda() {
  return dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr ? dlerror() : "";
}

int count_gpus(std::string& problem) {
  Overheard overheard;
  const c10::WarningUtils::WarningHandlerGuard guard(&overheard);
  try {
    const int count = at::hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().deviceCount()) : 0;
    problem = overheard.text;
    return count;
  } catch (const c10::Error& error) {
    problem = error.what_without_backtrace();
    return 0;
  }
}

at::Device parse_device(const std::string& name, const Gpus& gpus) {
  if (name == "cpu") return at::kCPU;
  if (name == "cuda" || name.starts_with("cuda:")) {
    const std::string number = name == "cuda" ? "0" : name.substr(5);
    const bool digits = !number.empty() && number.size() < 4 && std::all_of(number.begin(), number.end(), ::isdigit);
    if (!digits) throw bad_input("", "run.devices: " + name + " is not a device; use auto, cpu or cuda:N");
    const int index = std::stoi(number);
    if (index >= gpus.count) {
      const std::string why = gpus.count > 0 || gpus.problem.empty() ? "" : " (" + gpus.problem + ")";
      throw bad_input("", "run.devices: " + name + " is not there: this machine has " + std::to_string(gpus.count) +
                              " usable CUDA devices" + why +
                              "; use cpu, or install the CUDA libraries with ./setup.sh --cuda");
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

Gpus look_for_gpus(const GpuProbe& probe) {
  Gpus gpus{.driver = probe.driver()};
  gpus.problem = probe.load();
  if (!gpus.problem.empty()) return gpus;
  gpus.count = probe.count(gpus.problem);
  if (gpus.count > 0)
    gpus.problem.clear();
  else if (gpus.problem.empty())
    gpus.problem = "the driver shows no device";
  return gpus;
}

const Gpus& machine_gpus() {
  static const Gpus kGpus = look_for_gpus({.driver = find_driver, .load = load_cuda, .count = count_gpus});
  return kGpus;
}

std::vector<at::Device> resolve_devices(const std::vector<std::string>& names, const Gpus& gpus) {
  std::vector<at::Device> devices;
  for (const auto& name : names) {
    devices.push_back(parse_device(name, gpus));
    if (!devices.back().is_cpu() && std::count(devices.begin(), devices.end(), devices.back()) > 1)
      throw bad_input("", "run.devices: " + devices.back().str() + " is named twice");
  }
  if (devices.empty()) {
    for (int i = 0; i < gpus.count; ++i) devices.emplace_back(at::kCUDA, static_cast<c10::DeviceIndex>(i));
  }
  if (devices.empty()) devices.emplace_back(at::kCPU);
  return devices;
}

std::optional<std::string> note_missing_gpus(const std::vector<std::string>& names, const Gpus& gpus) {
  if (!names.empty() || gpus.count > 0 || !gpus.driver) return std::nullopt;
  return "an NVIDIA driver is here but no GPU can be used: " + gpus.problem + "; going on with the CPU";
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

std::vector<MemoryShare> memory_shares(const std::vector<at::Device>& devices, const FreeMemory& free_memory) {
  std::vector<MemoryShare> shares;
  for (const at::Device& device : devices) {
    auto share = std::ranges::find_if(shares, [&](const MemoryShare& s) { return s.device == device; });
    if (share == shares.end()) share = shares.insert(share, {.device = device, .free = free_memory(device)});
    ++share->lanes;
  }
  return shares;
}

std::string processor_of(at::Device device) {
  if (!device.is_cpu()) return device.str();
  std::ifstream info("/proc/cpuinfo");
  std::string name = "processor of an unknown name";
  for (std::string line; std::getline(info, line);) {
    const auto colon = line.find(": ");
    if (!line.starts_with("model name") || colon == std::string::npos) continue;
    name = line.substr(colon + 2);
    break;
  }
  return name + ", " + at::get_cpu_capability();
}

std::string name_of_device(at::Device device) {
  return device.is_cpu() ? processor_of(device) : ops::gpu_facts(device).name;
}

std::string gpu_driver() {
  return ops::driver_version();
}

std::string describe_device(at::Device device) {
  if (device.is_cpu()) {
    return "cpu (" + std::to_string(at::get_num_threads()) + " threads, " + at::get_cpu_capability() + ")";
  }
  return device.str();
}

}  // namespace finetune
