#include "engine/machine_report.h"

#include <torch/headeronly/version.h>
#include <unistd.h>

#include <algorithm>

#include "core/error.h"
#include "core/version.h"
#include "engine/kernel_choice.h"
#include "engine/precision.h"
#include "engine/short_waits.h"
#include "kernels/api/kernel.h"
#include "kernels/api/rounded_product.h"
#include "kernels/torch/gpu.h"
#include "kernels/torch/graph.h"
#include "models/weights.h"

namespace finetune {
namespace {

std::string kernels_of(at::Device device) {
  if (device.is_cpu()) return std::string("float32, for ") + kernels::cpu::instruction_set();
  const kernels::Status status = kernels::cuda::available(device.index());
  return status.ok() ? "float32 and bfloat16" : std::string("none: ") + status.problem;
}

OperationsReport try_operations(const CalibrationRequest& request, const CalibrationCache& cache,
                                const CalibrationProgram& program) {
  OperationsReport report{.request = request};
  try {
    report.found = calibrate_apart(request, program);
    const bool is_cpu = request.device == "cpu";
    report.table = is_cpu ? ops::KernelTable::written() : table_of(report.found);
    if (!is_cpu) cache.keep(calibration_key(request), report.found);
  } catch (const Error& error) {
    report.problem = error.what();
  }
  return report;
}

std::string bfloat16_of(at::Device device) {
  const std::string unit = device.is_cpu() ? kernels::cpu::bfloat16_unit() : "";
  return unit == "amx" ? "AMX" : unit == "avx512_bf16" ? "AVX512-BF16" : unit;
}

DeviceReport examine(at::Device device, const KernelShape& sizes) {
  const ops::GpuFacts gpu = ops::gpu_facts(device);
  const Precision precision = settle_precision("auto", {.width = sizes.width}, std::span(&device, 1),
                                               [&] { return measure_products(sizes.width, sizes.mlp_width); });
  return {.name = device.str(),
          .processor = name_of_device(device),
          .kernels = kernels_of(device),
          .has_kernels = ops::kernels_problem(device, at::kFloat) == nullptr,
          .bfloat16 = bfloat16_of(device),
          .auto_dtype = precision.dtype,
          .auto_why = why_auto(precision.devices),
          .free_bytes = available_bytes(device),
          .memory_bytes = device.is_cpu() ? ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGESIZE) : gpu.memory_bytes,
          .products = product_rates(device),
          .copy_bytes = copy_rate(device)};
}

// What an operation is bound by: adapters and the optimizer are float32 whatever the activations are.
double ideal_seconds(const DeviceReport& device, const Measured& one) {
  const double rate = one.dtype == at::kBFloat16 ? device.products.bfloat16 : device.products.float32;
  return std::max(one.bytes / device.copy_bytes, one.flops / rate);
}

nlohmann::ordered_json to_json(const DeviceReport& device) {
  auto all = nlohmann::ordered_json::array();
  for (const OperationsReport& one : device.operations) {
    auto operations = to_json(one.found);
    std::size_t i = 0;
    for (auto& row : operations["operations"])
      row["share_of_ceiling"] = share_of_ceiling(device, one.found.operations[i++]);
    all.push_back({{"dtype", dtype_name(one.request.dtype)},
                   {"problem", one.problem},
                   {"table", names_of(one.table)},
                   {"found", operations}});
  }
  return {{"name", device.name},
          {"processor", device.processor},
          {"kernels", device.kernels},
          {"bfloat16_unit", device.bfloat16},
          {"auto_dtype", dtype_name(device.auto_dtype)},
          {"auto_why", device.auto_why},
          {"free_bytes", device.free_bytes},
          {"memory_bytes", device.memory_bytes},
          {"copy_bytes_per_second", device.copy_bytes},
          {"float32_flops", device.products.float32},
          {"bfloat16_flops", device.products.bfloat16},
          {"measured", all}};
}

}  // namespace

MachineReport examine_machine(const KernelShape& sizes, const std::string& shape, const CalibrationCache& cache,
                              const CalibrationProgram& program, const std::function<void(const std::string&)>& say) {
  MachineReport report{
      .gpus = machine_gpus(), .driver = gpu_driver(), .load = machine_load(), .shape = shape, .sizes = sizes};
  const ShortWaits as_in_a_run;
  std::vector<at::Device> devices{at::kCPU};
  for (int i = 0; i < report.gpus.count; ++i) devices.emplace_back(at::kCUDA, static_cast<c10::DeviceIndex>(i));
  for (const at::Device& device : devices) {
    say(device.str() + ": copies and products");
    DeviceReport& one = report.devices.emplace_back(examine(device, sizes));
    if (!device.is_cpu()) {
      if (const char* problem = ops::graphs_problem(device)) report.graphs = problem;
    }
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      const bool computed = activation_dtype(dtype, device.type()) == dtype;  // on the processor float32 alone
      if (!one.has_kernels || !computed || !ops::has_kernels(device.type(), dtype)) continue;
      say(device.str() + ": operations in " + dtype_name(dtype));
      one.operations.push_back(
          try_operations({.device = device.str(), .dtype = dtype, .shape = sizes}, cache, program));
    }
  }
  return report;
}

bool is_unsound(const MachineReport& report) {
  return std::ranges::any_of(report.devices, [](const DeviceReport& device) {
    return std::ranges::any_of(device.operations, [](const OperationsReport& one) {
      return !one.problem.empty() || is_some_wrong(one.found.operations);
    });
  });
}

double share_of_ceiling(const DeviceReport& device, const Measured& one) {
  return one.best_s() > 0 ? ideal_seconds(device, one) / one.best_s() : 0;
}

nlohmann::ordered_json to_json(const MachineReport& report) {
  auto devices = nlohmann::ordered_json::array();
  for (const DeviceReport& device : report.devices) devices.push_back(to_json(device));
  return {{"finetune_tune", kVersion},          {"libtorch", TORCH_VERSION}, {"gpus", report.gpus.count},
          {"driver_found", report.gpus.driver}, {"driver", report.driver},   {"gpu_problem", report.gpus.problem},
          {"graphs_problem", report.graphs},    {"load", report.load},       {"shape", report.shape},
          {"sizes", to_json(report.sizes)},     {"devices", devices},        {"sound", !is_unsound(report)}};
}

}  // namespace finetune
