// Which devices a run uses, and what they can hold.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace finetune {

/// `names` as in run.devices; empty = auto: every GPU when there is one that works, else the CPU. Throws Error naming
/// run.devices for a name that is malformed or a device that is not there. "cpu" may be given several times: that many
/// lanes share the processor.
std::vector<at::Device> resolve_devices(const std::vector<std::string>& names);

/// Bytes that may be used: free memory of a GPU (the driver's, and what LibTorch holds without using it), available
/// memory of the machine (its cgroup's limit included).
std::int64_t available_bytes(at::Device device);

/// How free memory is asked for: available_bytes, or a stand-in in tests.
using FreeMemory = std::function<std::int64_t(at::Device)>;

/// "cpu (2 threads, AVX512)" or the GPU's name.
std::string describe_device(at::Device device);

}  // namespace finetune
