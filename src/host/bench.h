// How fast training is on this machine: trials packed and one after the other, on random rows, beside what its products
// allow.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"

namespace finetune {

struct BenchOptions {
  RunConfig config;                        ///< model.path, or `shape`; train.lora, train.method, run.*, model.dtype
  std::string shape;                       ///< engine/shapes.h: random weights of its sizes
  std::int64_t trials = 4;                 ///< side by side
  std::int64_t shortest = 0, longest = 0;  ///< tokens of a row; 0: what suits the device
  std::int64_t batch = 0;                  ///< rows of a trial's step; 0: likewise
  std::vector<std::int64_t> ranks;         ///< of the trials in turn; empty: train.lora.rank
  double seconds = 10;                     ///< of each of both measurements, after warming up
};

/// Steps of some trials.
struct TrainingSpeed {
  std::int64_t steps = 0, tokens = 0;  ///< of all trials; a step is one of each
  double seconds = 0, first_loss = 0, last_loss = 0, gradient_norm = 0;
  bool finite = true;
  double tokens_per_second() const { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }
};

/// tokens/s of one H200, adapters of rank 16 on all projections, rows of 1,024 to 2,048 tokens, bfloat16.
struct SpeedGoal {
  double must_beat = 0;  ///< what others reach there; 0 = none is known
  double good = 0, goal = 0, stretch = 0;
};

struct BenchReport {
  std::string model, device, driver, dtype, method, quantize;
  std::vector<std::string> kernels;
  std::int64_t parameters = 0, devices = 0, lanes = 0, trials = 0, shortest = 0, longest = 0, batch = 0,
               tokens_per_pass = 0;
  std::vector<std::int64_t> ranks;
  double flops_per_token = 0;  ///< shapes.h
  double product_rate = 0;     ///< of all devices, in the dtype; the best of two tries, before each of what is measured
  TrainingSpeed packed, alone;
  std::int64_t captures = 0;  ///< of the packed lanes
  std::optional<SpeedGoal> goal;
  bool is_goal_device = false;
  std::vector<std::string> notes;
  double share(const TrainingSpeed& speed) const { return speed.tokens_per_second() * flops_per_token / product_rate; }
};

/// Throws Error (bad_input) where the model does not fit into memory, with what would. `say`: what is under way.
BenchReport run_bench(BenchOptions options, const std::function<void(const std::string&)>& say);

nlohmann::ordered_json to_json(const BenchReport& report);

}  // namespace finetune
