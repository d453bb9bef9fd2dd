#include "kernels/torch/gpu.h"

#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>

#include <map>
#include <mutex>
#include <utility>

namespace finetune::ops {
namespace {

// Of the driver's interface (cuda.h), which promises that these names and numbers stay.
using Initialise = int (*)(unsigned flags);
using GetDevice = int (*)(int* device, int ordinal);
using GetAttribute = int (*)(int* value, int attribute, int device);
constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR

struct Driver {
  GetDevice device = nullptr;
  GetAttribute attribute = nullptr;
};

const Driver& driver() {
  static const Driver kDriver = [] {
    void* library = dlopen("libcuda.so.1", RTLD_NOW);
    if (library == nullptr) return Driver{};
    const auto initialise = reinterpret_cast<Initialise>(dlsym(library, "cuInit"));
    if (initialise == nullptr || initialise(0) != 0) return Driver{};
    return Driver{reinterpret_cast<GetDevice>(dlsym(library, "cuDeviceGet")),
                  reinterpret_cast<GetAttribute>(dlsym(library, "cuDeviceGetAttribute"))};
  }();
  return kDriver;
}

}  // namespace

int compute_capability(at::Device device) {
  if (!device.is_cuda()) return 0;
  const Driver& d = driver();
  if (d.device == nullptr || d.attribute == nullptr) return 0;
  int handle = 0, major = 0, minor = 0;
  if (d.device(&handle, device.index()) != 0 || d.attribute(&major, kMajor, handle) != 0 ||
      d.attribute(&minor, kMinor, handle) != 0)
    return 0;
  return 10 * major + minor;
}

std::int64_t device_memory(at::Device device) {
  if (device.is_cpu() || !c10::impl::hasDeviceGuardImpl(device.type())) return 0;
  static std::mutex mutex;
  static std::map<std::pair<at::DeviceType, int>, std::int64_t> known;
  const std::lock_guard lock(mutex);
  const auto [entry, added] = known.try_emplace({device.type(), device.index()}, 0);
  if (added)
    entry->second =
        static_cast<std::int64_t>(at::getDeviceAllocator(device.type())->getMemoryInfo(device.index()).second);
  return entry->second;
}

}  // namespace finetune::ops
