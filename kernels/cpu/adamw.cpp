// The optimizer: an item is a stretch of a slot's row, with or without decay.
#include "kernels/api/adamw.h"

#include <cmath>
#include <optional>
#include <vector>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {
namespace {

constexpr std::int64_t kStretch = 16384;  // elements

struct Stretch {
  std::size_t entry;  // of AdamW::slots
  std::int64_t begin, end;
  const ParameterRange* range;  // null: none
};

void add_stretches(std::vector<Stretch>& list, std::size_t entry, std::int64_t begin, std::int64_t end,
                   const ParameterRange* range) {
  for (; begin < end; begin += kStretch) list.push_back({entry, begin, std::min(end, begin + kStretch), range});
}

// Outside of all ranges, and what a range changes is derived from.
struct Constants {
  AdamWStep plain;
  double learning_rate, weight_decay, correction1;

  AdamWStep of(const ParameterRange* range) const {
    if (range == nullptr) return plain;
    AdamWStep step = plain;
    const double rate = learning_rate * range->rate;
    step.keep = static_cast<float>(1 - rate * weight_decay);
    step.step_size = static_cast<float>(rate / correction1);
    return step;
  }
};
// Nothing where the norm or the loss is not finite: the slot stays as it is.
std::optional<Constants> constants_of(const AdamWSlot& u, double norm, double loss, std::int64_t step) {
  if (!std::isfinite(norm) || !std::isfinite(loss)) return {};
  const double correction1 = 1 - std::pow(u.beta1, step), correction2 = 1 - std::pow(u.beta2, step);
  const AdamWStep plain{.grad_scale = static_cast<float>(clip_factor(u.max_norm, norm)),
                        .keep = 1.0f,
                        .new1 = static_cast<float>(1 - u.beta1),
                        .beta2 = static_cast<float>(u.beta2),
                        .new2 = static_cast<float>(1 - u.beta2),
                        .step_size = static_cast<float>(u.learning_rate / correction1),
                        .root_correction = static_cast<float>(std::sqrt(correction2)),
                        .epsilon = static_cast<float>(u.epsilon)};
  return Constants{plain, u.learning_rate, u.weight_decay, correction1};
}

std::vector<Stretch> stretches_of(const AdamW& args) {
  std::vector<Stretch> stretches;
  for (std::int64_t i = 0; i < args.slot_count; ++i) {
    const AdamWSlot& slot = args.slots[i];
    const auto entry = static_cast<std::size_t>(i);
    std::int64_t done = 0;
    for (std::int32_t d = slot.first_decayed; d < slot.first_decayed + slot.decayed_count; ++d) {
      const ParameterRange& range = args.decayed[d];
      add_stretches(stretches, entry, done, range.begin, nullptr);
      add_stretches(stretches, entry, range.begin, range.end, &range);
      done = range.end;
    }
    add_stretches(stretches, entry, done, args.parameters, nullptr);
  }
  return stretches;
}

}  // namespace

// All memory is taken before the first write, so it is done as a whole or not at all.
Status adamw(const AdamW& args, Stream stream) {
  const std::vector<Stretch> stretches = stretches_of(args);
  std::vector<std::optional<Constants>> constants;
  for (std::int64_t i = 0; i < args.slot_count; ++i)
    constants.push_back(constants_of(args.slots[i], args.norms[i], args.losses[i], args.steps[args.slots[i].slot] + 1));
  for (std::int64_t i = 0; i < args.slot_count; ++i)
    args.steps[args.slots[i].slot] += constants[static_cast<std::size_t>(i)] ? 1 : 0;
  in_parallel(stream, static_cast<std::int64_t>(stretches.size()), 10 * kStretch,
              [&](std::int64_t first, std::int64_t last) {
                for (std::int64_t i = first; i < last; ++i) {
                  const Stretch& stretch = stretches[static_cast<std::size_t>(i)];
                  const std::int64_t at = args.slots[stretch.entry].slot * args.slot_stride + stretch.begin,
                                     count = stretch.end - stretch.begin;
                  if (const auto& c = constants[stretch.entry])
                    table().adamw(args.params + at, args.grads + at, args.first + at, args.second + at, count,
                                  c->of(stretch.range));
                  else
                    std::fill_n(args.grads + at, count, 0.0f);
                }
              });
  return {};
}

Status gradient_norms(const GradientNorms& args, Stream stream) {
  // A slot has work enough to wake a thread for.
  constexpr std::int64_t kMuch = 1'000'000;
  in_parallel(stream, args.slot_count, kMuch, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const NormSlot& slot = args.slots[i];
      double sum = 0;
      for (std::int64_t p = slot.first_piece; p < slot.first_piece + slot.piece_count; ++p) {
        const GradientPiece& piece = args.pieces[p];
        const float* from = args.grads + slot.slot * args.slot_stride + piece.offset;
        for (std::int64_t row = 0; row < piece.rows; ++row)
          sum += table().sum_of_squares(from + row * piece.stride, piece.length);
      }
      args.norms[i] = std::sqrt(sum);
    }
  });
  return {};
}

}  // namespace finetune::kernels::cpu
