#include "engine/kernel_choice.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/torch/graph.h"

namespace finetune {
namespace {

constexpr const char* kGraphs = "graphs";

ops::KernelTable table_named(const std::vector<std::string>& names) {
  ops::KernelTable table;
  for (const std::string& name : names) {
    if (name == kGraphs)
      table.allow_graphs(true);
    else
      table.take(ops::operation_named(name).value());
  }
  return table;
}

// A processor's work is not captured: that graphs were asked for would go unsaid.
void require_graphs(const std::vector<std::string>& asked, std::span<const at::Device> devices) {
  if (std::ranges::find(asked, kGraphs) == asked.end()) return;
  if (std::ranges::all_of(devices, &at::Device::is_cpu))
    throw bad_input("", "run.kernels: graphs cannot be had on cpu: they are passes that a GPU replays; leave them out");
  for (const at::Device& device : devices) {
    if (const char* problem = ops::graphs_problem(device))
      throw bad_input("", "run.kernels: graphs cannot be had on " + device.str() + ": " + problem + "; leave them out");
  }
}

void require_kernels(const std::vector<std::string>& asked, std::span<const at::Device> devices, at::ScalarType dtype) {
  for (const at::Device& device : devices) {
    if (const char* problem = ops::kernels_problem(device, dtype))
      throw bad_input("", "run.kernels: " + asked.front() + (asked.size() > 1 ? " ..." : "") + " cannot be had on " +
                              device.str() + ": " + problem + "; use auto or composition");
  }
}

// What every GPU of the run is given.
ops::KernelTable found_on_all(std::span<const at::Device> devices, at::ScalarType dtype,
                              const CalibratedKernels& calibrated) {
  ops::KernelTable table = ops::KernelTable::written();
  for (const at::Device& device : devices) {
    if (device.is_cpu()) continue;
    if (ops::kernels_problem(device, dtype) != nullptr) return ops::KernelTable::composition();
    table = table & calibrated(device);
  }
  return table;
}

}  // namespace

ops::KernelTable settle_kernels(const std::vector<std::string>& asked, std::span<const at::Device> devices,
                                at::ScalarType dtype, const CalibratedKernels& calibrated) {
  if (asked.front() == "auto") return found_on_all(devices, dtype, calibrated);
  if (asked.front() == "composition") return ops::KernelTable::composition();
  require_graphs(asked, devices);
  require_kernels(asked, devices, dtype);
  return asked.front() == "written" ? ops::KernelTable::written() : table_named(asked);
}

std::vector<std::string> names_of(const ops::KernelTable& table) {
  std::vector<std::string> names;
  for (const ops::Operation operation : ops::kOperations) {
    if (table.takes(operation)) names.emplace_back(ops::name_of(operation));
  }
  if (table.graphs()) names.emplace_back(kGraphs);
  return names;
}

std::vector<std::string> resolved_kernels(const ops::KernelTable& table, std::span<const at::Device> devices,
                                          at::ScalarType dtype) {
  const auto have = std::ranges::count_if(
      devices, [&](const at::Device& device) { return ops::kernels_problem(device, dtype) == nullptr; });
  std::vector<std::string> names = names_of(table);
  if (have == 0 || names.empty()) return {"composition"};
  return table == ops::KernelTable::written() ? std::vector<std::string>{"written"} : names;
}

}  // namespace finetune
