#include "engine/kernel_choice.h"

#include <algorithm>

#include "core/error.h"

namespace finetune {

ops::KernelChoice settle_kernels(const std::string& asked, std::span<const at::Device> devices, at::ScalarType dtype) {
  if (asked == "auto") return ops::KernelChoice::automatic;
  if (asked == "composition") return ops::KernelChoice::composition;
  for (const at::Device& device : devices) {
    if (const char* problem = ops::kernels_problem(device, dtype))
      throw bad_input(
          "", "run.kernels: written cannot be had on " + device.str() + ": " + problem + "; use auto or composition");
  }
  return ops::KernelChoice::written;
}

std::string resolved_kernels(ops::KernelChoice choice, std::span<const at::Device> devices, at::ScalarType dtype) {
  if (choice == ops::KernelChoice::written) return "written";
  if (choice == ops::KernelChoice::composition) return "composition";
  const auto have = std::ranges::count_if(
      devices, [&](const at::Device& device) { return ops::kernels_problem(device, dtype) == nullptr; });
  if (have == 0) return "composition";
  const bool all_cpu = std::ranges::all_of(devices, [](const at::Device& device) { return device.is_cpu(); });
  return all_cpu ? "written" : "auto";
}

}  // namespace finetune
