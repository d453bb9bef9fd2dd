#include "kernels/torch/gpu.h"

#include <dlfcn.h>

#include <array>
#include <cstddef>

namespace finetune::ops {
namespace {

// Of the driver's interface (cuda.h), which promises that these names and numbers stay.
using Initialise = int (*)(unsigned flags);
using GetVersion = int (*)(int* version);
using GetDevice = int (*)(int* device, int ordinal);
using GetAttribute = int (*)(int* value, int attribute, int device);
using GetName = int (*)(char* name, int length, int device);
using GetMemory = int (*)(std::size_t* bytes, int device);
// CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, ..._COMPUTE_CAPABILITY_MAJOR, _MINOR
constexpr int kMultiprocessors = 16, kMajor = 75, kMinor = 76;

struct Driver {
  GetVersion version = nullptr;
  GetDevice device = nullptr;
  GetAttribute attribute = nullptr;
  GetName name = nullptr;
  GetMemory memory = nullptr;
};

const Driver& driver() {
  static const Driver kDriver = [] {
    void* library = dlopen("libcuda.so.1", RTLD_NOW);
    if (library == nullptr) return Driver{};
    const auto initialise = reinterpret_cast<Initialise>(dlsym(library, "cuInit"));
    if (initialise == nullptr || initialise(0) != 0) return Driver{};
    return Driver{.version = reinterpret_cast<GetVersion>(dlsym(library, "cuDriverGetVersion")),
                  .device = reinterpret_cast<GetDevice>(dlsym(library, "cuDeviceGet")),
                  .attribute = reinterpret_cast<GetAttribute>(dlsym(library, "cuDeviceGetAttribute")),
                  .name = reinterpret_cast<GetName>(dlsym(library, "cuDeviceGetName")),
                  .memory = reinterpret_cast<GetMemory>(dlsym(library, "cuDeviceTotalMem_v2"))};
  }();
  return kDriver;
}

int attribute_of(int which, int handle) {
  int value = 0;
  const GetAttribute get = driver().attribute;
  return get != nullptr && get(&value, which, handle) == 0 ? value : 0;
}

bool find_device(at::Device device, int& handle) {
  return device.is_cuda() && driver().device != nullptr && driver().device(&handle, device.index()) == 0;
}

}  // namespace

int compute_capability(at::Device device) {
  int handle = 0;
  if (!find_device(device, handle)) return 0;
  return 10 * attribute_of(kMajor, handle) + attribute_of(kMinor, handle);
}

GpuFacts gpu_facts(at::Device device) {
  GpuFacts facts;
  int handle = 0;
  if (!find_device(device, handle)) return facts;
  std::array<char, 256> name{};
  if (driver().name != nullptr && driver().name(name.data(), static_cast<int>(name.size()) - 1, handle) == 0)
    facts.name = name.data();
  std::size_t bytes = 0;
  if (driver().memory != nullptr && driver().memory(&bytes, handle) == 0)
    facts.memory_bytes = static_cast<std::int64_t>(bytes);
  facts.capability = compute_capability(device);
  facts.multiprocessors = attribute_of(kMultiprocessors, handle);
  return facts;
}

std::string driver_version() {
  int version = 0;
  if (driver().version == nullptr || driver().version(&version) != 0) return "";
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace finetune::ops
