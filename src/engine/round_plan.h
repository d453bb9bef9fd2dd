// What a round needs before a device is asked for anything: each trial's batch, the passes it is cut into, and their
// arrays. Torch-free; a pure function of plain values, so it can be computed ahead on another thread.
#pragma once

#include <cstdint>
#include <future>
#include <map>
#include <tuple>
#include <vector>

#include "data/batch_order.h"
#include "data/examples.h"
#include "engine/pack_data.h"
#include "engine/planner.h"

namespace finetune {

struct RoundOptions {
  std::int64_t tokens_per_pass = 4096;
  std::int64_t fewest_rows = 16;  ///< of any product: pack_builder.h
  PackModel model = {};
  bool shuffle = true;
  bool together = true;                  ///< false: a pass holds one trial only (full fine-tuning)
  bool buckets = false;                  ///< pad passes to few shapes, for captured graphs
  std::size_t groups = 0;                ///< with buckets: adapter groups of every pass
  std::vector<std::int64_t> parts = {};  ///< sizes of the parts that trials' shares are of; empty: there are none
};

struct RoundPass {
  Pass pass;  ///< chunk.trial counts from `first_trial`
  PackData data;
  std::size_t first_trial = 0;
};

struct RoundPlan {
  std::vector<PackTrial> trials;
  std::vector<Batch> batches;  ///< per trial
  std::vector<RoundPass> passes;
  std::int64_t tokens_per_pass = 0;
  bool together = true;
};

/// Plans rounds, one at a time, on the thread that asks or ahead of it on another.
class RoundPlanner {
 public:
  RoundPlanner(Examples examples, const RoundOptions& options);

  /// The plan of these trials: the one prepared if it is of them, else made now.
  RoundPlan take(std::vector<PackTrial> trials);
  /// Starts to plan what is likely to be taken next. Returns at once.
  void prepare(std::vector<PackTrial> trials);
  /// From the next plan on; a plan prepared for another size is not used.
  void set_tokens_per_pass(std::int64_t tokens);
  void set_together(bool together) { options_.together = together; }
  /// From the next plan on; changes no trial's numbers.
  void set_fewest_rows(std::int64_t rows) { options_.fewest_rows = rows; }
  std::int64_t tokens_per_pass() const { return options_.tokens_per_pass; }
  bool together() const { return options_.together; }
  /// Plans taken that had been prepared.
  std::int64_t prepared_plans_used() const { return used_; }

 private:
  RoundPlan plan(std::vector<PackTrial> trials, std::int64_t tokens_per_pass, bool together);
  Batch batch_of(const PackTrial& trial);
  void pad(PackData& data, std::int64_t tokens_per_pass);

  Examples examples_;
  RoundOptions options_;
  // Orders of examples; trials of one seed, batch size and mixture share theirs. Those that a round does not use are
  // dropped.
  using OrderKey = std::tuple<std::uint64_t, std::int64_t, std::vector<double>>;
  static OrderKey order_key(const PackTrial& trial);
  std::map<OrderKey, BatchOrder> orders_;
  std::int64_t used_ = 0;
  PackShape largest_;                // segments and longest of any pass so far
  std::future<RoundPlan> prepared_;  // last: its thread works on the members above
};

}  // namespace finetune
