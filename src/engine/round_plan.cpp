#include "engine/round_plan.h"

#include <algorithm>
#include <tuple>

namespace finetune {
namespace {

auto values_of(const RoundTrial& trial) {
  const PackTrial& p = trial.part;
  return std::make_tuple(p.slot, p.rank, p.scale, p.dropout, p.seed, p.step, p.targets, trial.batch_size,
                         trial.order_seed);
}

}  // namespace

bool same_round(std::span<const RoundTrial> a, std::span<const RoundTrial> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const RoundTrial& x, const RoundTrial& y) { return values_of(x) == values_of(y); });
}

RoundPlanner::RoundPlanner(std::span<const Example> examples, const RoundOptions& options)
    : examples_(examples), options_(options) {}

RoundPlan RoundPlanner::take(std::vector<RoundTrial> trials) {
  if (prepared_.valid()) {
    RoundPlan plan = prepared_.get();
    if (plan.tokens_per_pass == options_.tokens_per_pass && same_round(plan.trials, trials)) {
      ++used_;
      return plan;
    }
  }
  return plan(std::move(trials), options_.tokens_per_pass);
}

void RoundPlanner::prepare(std::vector<RoundTrial> trials) {
  if (prepared_.valid()) prepared_.wait();
  prepared_ = std::async(std::launch::async, [this, trials = std::move(trials), tokens = options_.tokens_per_pass] {
    return plan(trials, tokens);
  });
}

void RoundPlanner::set_tokens_per_pass(std::int64_t tokens) {
  options_.tokens_per_pass = tokens;
}

RoundBatch RoundPlanner::batch_of(const RoundTrial& trial) {
  const auto [order, added] =
      orders_.try_emplace({trial.order_seed, trial.batch_size}, static_cast<std::int64_t>(examples_.size()),
                          trial.batch_size, options_.shuffle, trial.order_seed);
  RoundBatch batch{.examples = order->second.batch(trial.part.step)};
  for (const std::int64_t index : batch.examples) {
    const Example& example = examples_[static_cast<std::size_t>(index)];
    batch.lengths.push_back(static_cast<std::int64_t>(example.ids.size()));
    batch.tokens += batch.lengths.back();
    batch.loss_tokens += example.loss_tokens();
  }
  return batch;
}

RoundPlan RoundPlanner::plan(std::vector<RoundTrial> trials, std::int64_t tokens_per_pass) {
  RoundPlan plan{.trials = std::move(trials), .tokens_per_pass = tokens_per_pass};
  std::vector<PackTrial> parts;
  std::vector<std::vector<std::int64_t>> lengths;
  for (const RoundTrial& trial : plan.trials) plan.batches.push_back(batch_of(trial));
  for (std::size_t i = 0; i < plan.trials.size(); ++i) {
    const RoundBatch& batch = plan.batches[i];
    parts.push_back(plan.trials[i].part);
    parts.back().loss_scale = 1.0 / static_cast<double>(batch.loss_tokens);
    parts.back().examples = examples_;
    parts.back().batch = batch.examples;
    lengths.push_back(batch.lengths);
  }
  std::erase_if(orders_, [&](const auto& order) {
    return std::none_of(plan.trials.begin(), plan.trials.end(), [&](const RoundTrial& trial) {
      return std::pair(trial.order_seed, trial.batch_size) == order.first;
    });
  });
  // Trials that cannot share a pass take turns.
  const std::size_t together = options_.together ? std::max<std::size_t>(1, parts.size()) : 1;
  for (std::size_t first = 0; first < parts.size(); first += together) {
    for (Pass& pass : plan_passes(std::span(lengths).subspan(first, together), tokens_per_pass)) {
      PackData data = build_pack_data(pass, std::span(parts).subspan(first, together), options_.fewest_rows);
      if (options_.buckets) pad_pack(data, bucket_of(data.shape(), tokens_per_pass), options_.groups);
      plan.passes.push_back({std::move(pass), std::move(data), first});
    }
  }
  return plan;
}

}  // namespace finetune
