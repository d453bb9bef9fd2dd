// Whole steps of a few layers of a model, with graphs and without: what a table of kernels comes to.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/calibration/kernel_shape.h"
#include "kernels/torch/backend.h"
#include "models/weights.h"

namespace finetune {

/// Steps of some trials.
struct StepTimes {
  double seconds = 0;          ///< of a step, the median
  std::vector<double> losses;  ///< of each trial and step, in order
};
StepTimes time_steps(const DecoderBase& base, std::int64_t rank, const ops::KernelTable& table);

/// A few layers of a model with random weights.
DecoderBase tried_base(const KernelShape& shape, at::ScalarType dtype, at::Device device);

/// Eager steps beside captured ones.
struct GraphsFound {
  double eager_s = 0, graphs_s = 0;
  bool takes_graphs = false;
  std::string why;
};
/// Graphs where their losses agree with those of eager steps, up to what padding to their shapes may round, and they
/// are the faster ones.
GraphsFound compare_steps(const StepTimes& eager, const StepTimes& graphs);

nlohmann::ordered_json to_json(const GraphsFound& found);
GraphsFound graphs_from_json(const std::string& where, const nlohmann::ordered_json& json);

}  // namespace finetune
