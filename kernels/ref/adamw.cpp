#include "kernels/api/adamw.h"

#include <cmath>

namespace finetune::kernels::ref {
namespace {

// The range that a parameter is in; null: none.
const ParameterRange* range_of(const AdamW& args, const AdamWSlot& slot, std::int64_t parameter) {
  for (std::int32_t i = 0; i < slot.decayed_count; ++i) {
    const ParameterRange& range = args.decayed[slot.first_decayed + i];
    if (parameter >= range.begin && parameter < range.end) return &range;
  }
  return nullptr;
}

void step(const AdamW& args, const AdamWSlot& u, double norm, std::int64_t parameter) {
  const std::int64_t at = u.slot * args.slot_stride + parameter;
  const double g = args.grads[at] * clip_factor(u.max_norm, norm);
  const ParameterRange* range = range_of(args, u, parameter);
  const double rate = u.learning_rate * (range ? range->rate : 1), keep = range ? 1 - rate * u.weight_decay : 1;
  const double m = u.beta1 * args.first[at] + (1 - u.beta1) * g;
  const double v = u.beta2 * args.second[at] + (1 - u.beta2) * g * g;
  const auto count = static_cast<double>(args.steps[u.slot] + 1);
  const double correction1 = 1 - std::pow(u.beta1, count);
  const double correction2 = 1 - std::pow(u.beta2, count);
  const double root = std::sqrt(v / correction2) + u.epsilon;
  args.first[at] = static_cast<float>(m);
  args.second[at] = static_cast<float>(v);
  args.params[at] = static_cast<float>(args.params[at] * keep - rate * (m / correction1) / root);
}

}  // namespace

Status adamw(const AdamW& args, Stream) {
  for (std::int64_t i = 0; i < args.slot_count; ++i) {
    const AdamWSlot& slot = args.slots[i];
    const bool finite = std::isfinite(args.norms[i]) && std::isfinite(args.losses[i]);
    for (std::int64_t parameter = 0; parameter < args.parameters; ++parameter) {
      if (finite) step(args, slot, args.norms[i], parameter);
      args.grads[slot.slot * args.slot_stride + parameter] = 0;
    }
    if (finite) ++args.steps[slot.slot];
  }
  return {};
}

Status gradient_norms(const GradientNorms& args, Stream) {
  for (std::int64_t i = 0; i < args.slot_count; ++i) {
    const NormSlot& slot = args.slots[i];
    double sum = 0;
    for (std::int64_t p = 0; p < slot.piece_count; ++p) {
      const GradientPiece& piece = args.pieces[slot.first_piece + p];
      for (std::int64_t row = 0; row < piece.rows; ++row) {
        const float* values = args.grads + slot.slot * args.slot_stride + piece.offset + row * piece.stride;
        for (std::int64_t c = 0; c < piece.length; ++c) {
          sum += static_cast<double>(values[c]) * static_cast<double>(values[c]);
        }
      }
    }
    args.norms[i] = std::sqrt(sum);
  }
  return {};
}

}  // namespace finetune::kernels::ref
