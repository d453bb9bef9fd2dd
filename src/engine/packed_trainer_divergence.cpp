// How far trials have gone from the reference on answers that belong to other prompts, before a step or an evaluation
// that asks for it.
#include <ATen/ATen.h>

#include <algorithm>

#include "engine/divergence.h"
#include "engine/packed_trainer.h"
#include "engine/reference.h"

namespace finetune {

// Trials of one pass; waits for the device.
std::vector<double> PackedTrainer::divergences(std::span<Resident* const> trials, std::span<const Batch> batches) {
  std::vector<std::vector<Example>> examples;
  std::vector<Batch> moved;
  std::vector<std::vector<std::int64_t>> lengths;
  for (const Batch& batch : batches) {
    examples.push_back(mismatched(batch, options_.max_length));
    moved.emplace_back(examples.back());
    lengths.push_back(moved.back().lengths());
  }
  const auto compute = [this](std::span<const Example> fresh) {
    return options_.reference->answer_losses(fresh, planner_.tokens_per_pass(), options_.interrupted);
  };
  const std::vector<PackTrial> packed = undisturbed(trials);
  const std::int64_t slot = packed.front().slot;
  const DecoderBase& base = store_.base(slot);
  at::Tensor nll_N =
      at::zeros({static_cast<std::int64_t>(trials.size())}, at::TensorOptions(at::kDouble).device(device_));
  for (const Pass& pass : plan_passes(lengths, planner_.tokens_per_pass())) {
    check_interrupt();
    const PackData data =
        build_pack_data(pass, packed, moved, ops::fewest_product_rows(device_), pack_model(base.options));
    const auto figures = runner_.evaluate(base, store_.trainables(slot).bank, data, sft());
    ops::row_sums(figures.front().values_N, row_ranges(pass, data, 0), nll_N);
  }
  const at::Tensor on_host = nll_N.cpu();
  std::vector<double> values;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const double gained = references_.sum(batches[i], examples[i], compute) - on_host.const_data_ptr<double>()[i];
    values.push_back(std::max(0.0, gained / static_cast<double>(batches[i].examples.size())));
  }
  return values;
}

// Of all trials of a round: those that cannot share a pass one after the other.
std::vector<double> PackedTrainer::round_divergences(std::span<Resident* const> trials,
                                                     std::span<const Batch> batches) {
  std::vector<double> values(trials.size(), 0);
  if (!options_.objective->needs_divergence()) return values;
  const std::size_t together = store_.packs_together() ? trials.size() : 1;
  for (std::size_t first = 0; first < trials.size(); first += together) {
    under_way_ = {first, 0};
    std::ranges::copy(divergences(trials.subspan(first, together), batches.subspan(first, together)),
                      values.begin() + static_cast<std::ptrdiff_t>(first));
  }
  return values;
}

}  // namespace finetune
