#include "engine/round_plan.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <system_error>
#include <utility>

namespace finetune {

RoundPlanner::RoundPlanner(Examples examples, const RoundOptions& options)
    : examples_(std::move(examples)), options_(options) {
  largest_.longest = examples_.longest();
}

RoundPlan RoundPlanner::take(std::vector<PackTrial> trials) {
  if (prepared_.valid()) {
    RoundPlan plan = prepared_.get();
    if (plan.tokens_per_pass == options_.tokens_per_pass && plan.together == options_.together &&
        plan.trials == trials) {
      ++used_;
      return plan;
    }
  }
  return plan(std::move(trials), options_.tokens_per_pass, options_.together);
}

void RoundPlanner::prepare(std::vector<PackTrial> trials) {
  if (prepared_.valid()) prepared_.wait();
  try {
    prepared_ =
        std::async(std::launch::async, [this, trials = std::move(trials), tokens = options_.tokens_per_pass,
                                        together = options_.together] { return plan(trials, tokens, together); });
  } catch (const std::system_error&) {  // there is no memory for a thread: the round plans for itself
  }
}

void RoundPlanner::set_tokens_per_pass(std::int64_t tokens) {
  options_.tokens_per_pass = tokens;
}

RoundPlanner::OrderKey RoundPlanner::order_key(const PackTrial& trial) {
  return {trial.order_seed, trial.batch_size, trial.shares};
}

Batch RoundPlanner::batch_of(const PackTrial& trial) {
  const std::vector<std::int64_t> sizes = options_.parts.empty() ? std::vector{std::ssize(examples_)} : options_.parts;
  const auto [order, added] =
      orders_.try_emplace(order_key(trial), sizes, trial.shares, trial.batch_size, options_.shuffle, trial.order_seed);
  Batch batch;
  for (const std::int64_t index : order->second.batch(trial.step))
    batch.add(examples_[static_cast<std::size_t>(index)]);
  return batch;
}

void RoundPlanner::pad(PackData& data, std::int64_t tokens_per_pass) {
  largest_ = bucket_of(data.shape(), tokens_per_pass, largest_);
  pad_pack(data, largest_, options_.groups);
}

RoundPlan RoundPlanner::plan(std::vector<PackTrial> trials, std::int64_t tokens_per_pass, bool together) {
  RoundPlan plan{.trials = std::move(trials), .tokens_per_pass = tokens_per_pass, .together = together};
  std::vector<std::vector<std::int64_t>> lengths;
  for (const PackTrial& trial : plan.trials) {
    plan.batches.push_back(batch_of(trial));
    lengths.push_back(plan.batches.back().lengths());
  }
  std::erase_if(orders_, [&](const auto& order) {
    return std::none_of(plan.trials.begin(), plan.trials.end(),
                        [&](const PackTrial& trial) { return order_key(trial) == order.first; });
  });
  // Trials that cannot share a pass take turns.
  const std::size_t group = together ? std::max<std::size_t>(1, lengths.size()) : 1;
  for (std::size_t first = 0; first < lengths.size(); first += group) {
    for (Pass& pass : plan_passes(std::span(lengths).subspan(first, group), tokens_per_pass)) {
      PackData data =
          build_pack_data(pass, std::span(plan.trials).subspan(first, group),
                          std::span(plan.batches).subspan(first, group), options_.fewest_rows, options_.model);
      if (options_.buckets) pad(data, tokens_per_pass);
      plan.passes.push_back({std::move(pass), std::move(data), first});
    }
  }
  return plan;
}

}  // namespace finetune
