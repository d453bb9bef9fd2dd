// What a step, an evaluation and a move cost on a simulated device: the fitted cost model (engine/round_cost.h) with
// coefficients that are assumed, not measured, and examples of varied length.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/trial.h"
#include "engine/round_cost.h"

namespace finetune::testing {

/// One device, with the model that it holds.
struct Machine {
  std::string name;
  DecoderOptions model;  ///< its sizes
  RoundCost cost;
  double tokens_per_pass = 0;
  double move_seconds = 0;  ///< a trial's state, from device to device
};

/// From what performance.md takes as goals for one H200 (3.6: tokens a second of full passes of rows of 1,024), from
/// 59 launches a layer at 1.5 us each in a replayed graph, from 18 bytes of state for each of an adapter's parameters
/// of rank 16 (3.4), read and written at 4.3 TB/s by an update and moved at 50 GB/s.
Machine half_billion();
Machine one_and_a_half_billion();
Machine four_billion();
Machine eight_billion();

/// A data set in a fixed order; a batch is a window of it, where the trial and the step say.
class ExampleLengths {
 public:
  /// `varied`: log-normal around 400 tokens, from 32 to 2,048, the same for every seed; else 400 each. Half of the
  /// tokens of an example have a loss.
  explicit ExampleLengths(bool varied);
  RoundWork batch(TrialId trial, std::int64_t step, std::int64_t size) const;  ///< one trial; no passes yet
  RoundWork validation() const;                                                ///< of one trial: 128 examples
  RoundWork usual(std::int64_t size) const;                                    ///< of a batch of this size, by the mean

 private:
  RoundWork window(std::int64_t from, std::int64_t size) const;
  std::vector<RoundWork> sums_;  // of the first n examples
};

/// Of all that one device does in a round: its trials share passes.
double round_seconds(const Machine& machine, RoundWork work);
/// A forward pass: half of what a step of the same examples costs, since no gradient of a frozen weight is computed.
double evaluation_seconds(const Machine& machine, const RoundWork& validation, std::int64_t trials);

/// How many times as long each device takes: 1, but for every fifth from 1.2 to 2 where there are stragglers (the
/// number of them rounded, so none of one or two devices).
std::vector<double> slowness(std::int64_t devices, bool stragglers);

/// The share of the time of all devices in which they computed.
double share_used(double busy, std::int64_t devices, double makespan);

}  // namespace finetune::testing
