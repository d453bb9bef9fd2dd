#include "engine/calibration/calibration.h"

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "engine/devices.h"
#include "engine/precision.h"
#include "kernels/torch/graph.h"
#include "kernels/torch/reproducible.h"

namespace finetune {
namespace {

ops::KernelTable kernels_that_won(const Calibration& calibration) {
  ops::KernelTable table;
  for (const ops::Operation operation : written_operations(calibration.operations)) table.take(operation);
  return table;
}

// Every kernel of `table` that was measured is right.
bool is_right(const ops::KernelTable& table, std::span<const Measured> all) {
  return std::ranges::none_of(all, [&](const Measured& one) { return one.is_wrong && table.takes(one.operation); });
}

}  // namespace

Calibration calibrate(const CalibrationRequest& request, std::span<const CaseSize> sizes, const Contest& contest) {
  const at::Device device(request.device);
  // As runs are by default; flash attention's backward gives equal bits in no other way.
  const auto sums = device.is_cpu() ? nullptr : std::make_unique<const ops::ReproducibleSums>();
  Calibration found{.operations = measure_kernels(request.shape, request.dtype, sizes, device, contest)};
  const ops::KernelTable eager = kernels_that_won(found), graphs = ops::made_capturable(eager);
  if (device.is_cpu() || ops::graphs_problem(device) != nullptr || !is_right(graphs, found.operations) ||
      !ops::can_capture(device, request.dtype, request.shape.head_dim, graphs))
    return found;
  const DecoderBase base = tried_base(request.shape, request.dtype, device);
  found.graphs =
      compare_steps(time_steps(base, request.shape.rank, eager), time_steps(base, request.shape.rank, graphs));
  return found;
}

ops::KernelTable table_of(const Calibration& calibration) {
  const ops::KernelTable eager = kernels_that_won(calibration);
  return calibration.graphs && calibration.graphs->takes_graphs ? ops::made_capturable(eager) : eager;
}

nlohmann::ordered_json to_json(const CalibrationRequest& request) {
  return {{"device", request.device}, {"dtype", dtype_name(request.dtype)}, {"shape", to_json(request.shape)}};
}

nlohmann::ordered_json to_json(const Calibration& calibration) {
  auto operations = nlohmann::ordered_json::array();
  for (const Measured& one : calibration.operations) operations.push_back(to_json(one));
  return {{"operations", operations},
          {"graphs", calibration.graphs ? to_json(*calibration.graphs) : nlohmann::ordered_json()}};
}

CalibrationRequest request_from_json(const std::string& where, const nlohmann::ordered_json& json) {
  const auto text = [&](const char* name) {
    if (!json.is_object() || !json.contains(name) || !json[name].is_string())
      throw bad_input(where, std::string("a request to calibrate has no ") + name);
    return json[name].get<std::string>();
  };
  const std::string dtype = text("dtype");
  if (dtype != "float32" && dtype != "bfloat16") throw bad_input(where, "kernels have no dtype " + dtype.substr(0, 40));
  return {.device = resolve_devices({text("device")}).front().str(),
          .dtype = dtype == "float32" ? at::kFloat : at::kBFloat16,
          .shape = kernel_shape_from_json(where, json.contains("shape") ? json["shape"] : nlohmann::ordered_json())};
}

Calibration calibration_from_json(const std::string& where, const nlohmann::ordered_json& json) {
  if (!json.is_object() || !json.contains("operations") || !json["operations"].is_array() || !json.contains("graphs"))
    throw bad_input(where, "is no calibration");
  Calibration calibration;
  for (const auto& one : json["operations"]) calibration.operations.push_back(measured_from_json(where, one));
  if (!json["graphs"].is_null()) calibration.graphs = graphs_from_json(where, json["graphs"]);
  return calibration;
}

}  // namespace finetune
