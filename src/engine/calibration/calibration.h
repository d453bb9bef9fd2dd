// The choice between composition, written kernels and graphs on one device: what is asked, what is found, what follows.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/calibration/kernel_shape.h"
#include "engine/calibration/measure_kernels.h"
#include "engine/calibration/pass_times.h"

namespace finetune {

struct CalibrationRequest {
  std::string device;  ///< cpu, cuda:0
  at::ScalarType dtype = at::kFloat;
  KernelShape shape;
};

struct Calibration {
  std::vector<Measured> operations;
  std::optional<GraphsFound> graphs;  ///< where passes could be captured
};

/// In this process. Graphs are tried where the kernels that they need are right, and never on the processor.
Calibration calibrate(const CalibrationRequest& request, std::span<const CaseSize> sizes, const Contest& contest);

/// What a run gets by it: the kernels that won; with graphs also those that a capture needs.
ops::KernelTable table_of(const Calibration& calibration);

/// Members by name. Reading throws Error (bad_input) naming `where`.
nlohmann::ordered_json to_json(const CalibrationRequest& request);
nlohmann::ordered_json to_json(const Calibration& calibration);
CalibrationRequest request_from_json(const std::string& where, const nlohmann::ordered_json& json);
Calibration calibration_from_json(const std::string& where, const nlohmann::ordered_json& json);

}  // namespace finetune
