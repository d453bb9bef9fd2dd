#include "engine/round_cost.h"

#include <algorithm>

namespace finetune {
namespace {

double units(const WorkRatios& ratios, const RoundWork& work) {
  return work.tokens + ratios.square * work.squares + ratios.loss_row * work.loss_rows;
}

}  // namespace

WorkRatios work_ratios(const DecoderOptions& m) {
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  const double q = number(m.heads * m.head_dim), kv = number(m.kv_heads * m.head_dim), width = number(m.width);
  const double layer = width * (2 * q + 2 * kv) + 3 * width * number(m.mlp_width);  // weights of its products
  return {.square = 2 * q / layer, .loss_row = number(m.vocab_size) * width / (number(m.layers) * layer)};
}

RoundWork operator+(const RoundWork& a, const RoundWork& b) {
  return {a.passes + b.passes, a.tokens + b.tokens, a.squares + b.squares, a.loss_rows + b.loss_rows,
          a.trials + b.trials};
}

RoundWork operator*(double factor, const RoundWork& w) {
  return {factor * w.passes, factor * w.tokens, factor * w.squares, factor * w.loss_rows, factor * w.trials};
}

void add_example(RoundWork& work, std::int64_t tokens, std::int64_t loss_tokens) {
  const auto length = static_cast<double>(tokens);
  work.tokens += length;
  work.squares += length * length;
  work.loss_rows += static_cast<double>(loss_tokens);
}

double seconds_of(const RoundCost& cost, const RoundWork& work) {
  return cost.pass * work.passes + cost.work * units(cost.ratios, work) + cost.trial * work.trials;
}

RoundCost fit_round_cost(const WorkRatios& ratios, const TimedRound& one, const TimedRound& batch,
                         const std::optional<TimedRound>& several) {
  RoundCost cost{.ratios = ratios};
  const double more = units(ratios, batch.work) - units(ratios, one.work);
  const double most = batch.seconds / std::max(1.0, units(ratios, batch.work));  // nothing but work
  cost.work = more > 0 ? std::clamp((batch.seconds - one.seconds) / more, 0.0, most) : most;
  // What is left of a batch are its passes and its trial; several trials in fewer passes each tell the two apart.
  const double left = std::max(0.0, batch.seconds - cost.work * units(ratios, batch.work));
  const TimedRound& largest = several ? *several : batch;
  const double in_passes = largest.work.passes / batch.work.passes, shared = largest.work.trials - in_passes;
  if (shared > 0) {
    const double rest = largest.seconds - cost.work * units(ratios, largest.work);
    cost.trial = std::clamp((rest - in_passes * left) / shared, 0.0, left);
  }
  cost.pass = (left - cost.trial) / batch.work.passes;
  const double predicted = seconds_of(cost, largest.work);
  if (predicted > 0) {
    const double scale = largest.seconds / predicted;
    cost.pass *= scale;
    cost.work *= scale;
    cost.trial *= scale;
  }
  return cost;
}

}  // namespace finetune
