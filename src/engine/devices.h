// Which devices a run uses, and what they can hold.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace finetune {

/// What this machine says of its GPUs.
struct Gpus {
  int count = 0;        ///< that can be used
  bool driver = false;  ///< an NVIDIA driver is there, or something that should be one
  std::string problem;  ///< why none can be used, in the words of the loader or the driver
};

/// How GPUs are looked for; a stand-in in tests.
struct GpuProbe {
  std::function<bool()> driver;            ///< any trace of an NVIDIA driver
  std::function<std::string()> load;       ///< loads the CUDA half of LibTorch; "" or the loader's words
  std::function<int(std::string&)> count;  ///< devices that it can use; else what it says about them
};
Gpus look_for_gpus(const GpuProbe& probe);

/// Those of this machine, looked for once. To be called before anything else of ATen that may ask for CUDA: it asks
/// once for all.
const Gpus& machine_gpus();

/// `names` as in run.devices; empty = auto: every GPU when there is one that works, else the CPU. Throws Error naming
/// run.devices for a name that is malformed or a device that is not there (with Gpus::problem). "cpu" may be given
/// several times: that many lanes share the processor.
std::vector<at::Device> resolve_devices(const std::vector<std::string>& names, const Gpus& gpus = machine_gpus());

/// That `auto` takes the CPU although a driver is there, and why; nothing else.
std::optional<std::string> note_missing_gpus(const std::vector<std::string>& names, const Gpus& gpus = machine_gpus());

/// Bytes that may be used: free memory of a GPU (the driver's, and what LibTorch holds without using it), available
/// memory of the machine (its cgroup's limit included).
std::int64_t available_bytes(at::Device device);

/// How free memory is asked for: available_bytes, or a stand-in in tests.
using FreeMemory = std::function<std::int64_t(at::Device)>;

/// Lanes that share one memory: all of the processor, or those of one GPU.
struct MemoryShare {
  at::Device device;
  std::int64_t lanes = 0;
  std::int64_t free = 0;  ///< bytes
};
/// In the order of `devices`, one entry a device.
std::vector<MemoryShare> memory_shares(const std::vector<at::Device>& devices, const FreeMemory& free_memory);

/// What the bits of a result depend on: "AMD EPYC 7B13, AVX2" of the processor, the name and number of a GPU.
std::string processor_of(at::Device device);

/// The processor with its instruction set, or the GPU as its driver calls it.
std::string name_of_device(at::Device device);
/// The CUDA version that the driver serves; "" without one.
std::string gpu_driver();

/// "cpu (2 threads, AVX512)" or the GPU's name.
std::string describe_device(at::Device device);

}  // namespace finetune
