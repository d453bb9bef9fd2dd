// This machine as the program sees it: devices, what they can do at most, and how each operation's composition and
// written kernel do beside that.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/calibration/calibrate_apart.h"
#include "engine/devices.h"
#include "engine/rates.h"

namespace finetune {

/// Operations on a device in one dtype.
struct OperationsReport {
  CalibrationRequest request;
  Calibration found;
  ops::KernelTable table;  ///< of a run with run.kernels: auto
  std::string problem;     ///< why nothing was found; ""
};

struct DeviceReport {
  std::string name;       ///< cpu, cuda:0
  std::string processor;  ///< what it is
  std::string kernels;    ///< those of this program: for which dtype and instruction set, or why there are none
  bool has_kernels = false;
  std::string bfloat16;                    ///< of a processor: what multiplies it ("AMX"); "" where nothing does
  at::ScalarType auto_dtype = at::kFloat;  ///< model.dtype: auto, for adapters over a model of the report's sizes
  std::string auto_why;
  std::int64_t free_bytes = 0, memory_bytes = 0;
  ProductRates products;
  double copy_bytes = 0;  ///< copy_rate
  std::vector<OperationsReport> operations;
};

struct MachineReport {
  Gpus gpus;
  std::string driver;  ///< ops::driver_version
  std::string graphs;  ///< why a GPU's passes cannot be captured; "" where they can or there is none
  double load = 0;     ///< machine_load, before anything was measured
  std::string shape;   ///< for people: what the operations are sized by
  KernelShape sizes;
  std::vector<DeviceReport> devices;
};

/// The processor and every GPU that can be used. Each device's operations are tried in a process of their own, so a
/// kernel that faults is a problem of its report. `say`: what is under way.
MachineReport examine_machine(const KernelShape& sizes, const std::string& shape, const CalibrationCache& cache,
                              const CalibrationProgram& program, const std::function<void(const std::string&)>& say);

/// Some kernel is wrong, or could not be tried.
bool is_unsound(const MachineReport& report);

/// What an operation would take if nothing but its bytes or its products counted, by what it takes.
double share_of_ceiling(const DeviceReport& device, const Measured& one);

nlohmann::ordered_json to_json(const MachineReport& report);

}  // namespace finetune
