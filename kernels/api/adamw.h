// The optimizer over a bank of slots: gradient norms, and AdamW as torch.optim.AdamW does it (Loshchilov & Hutter,
// 2019, algorithm 2; decoupled decay first, bias correction, epsilon after the corrected root). Everything is fp32;
// slot s starts at s * slot_stride of each array.
#pragma once

#include "kernels/api/kernel.h"

namespace finetune::kernels {

/// Parameters [begin, end) of a slot, whose learning rate is the slot's times `rate`.
struct ParameterRange {
  std::int64_t begin, end;
  double rate = 1;
};

/// One slot's step. Constants derived from these are computed in double and rounded to fp32 each on its own: 1 - beta2
/// from a rounded beta2 would be off by 1e-5.
struct AdamWSlot {
  std::int64_t slot;
  double learning_rate, beta1, beta2, epsilon, weight_decay;
  double max_norm;  ///< gradients are scaled by max_norm / (norm + 1e-6) if below 1; 0 = never
  std::int32_t first_decayed, decayed_count;  ///< part of AdamW::decayed, sorted and disjoint: what decay applies to;
                                              ///< outside there is none, and the rate is the slot's
};

/// All updates in one launch over the bank and one that counts steps. An entry whose norm or loss is not finite leaves
/// its slot's parameters, moments and steps as they are. Zeroes the gradients of every slot named, skipped ones too. No
/// slot may be named twice.
struct AdamW {
  float *params, *grads, *first, *second;
  std::int64_t slot_stride, parameters;
  const AdamWSlot* slots;
  std::int64_t slot_count;
  const ParameterRange* decayed;
  const double *norms, *losses;  ///< per entry of `slots`; losses: of the step, any multiple
  std::int64_t* steps;           ///< per slot of the bank: steps behind the moments
};

/// What clipping multiplies gradients by.
inline double clip_factor(double max_norm, double norm) {
  const double factor = max_norm / (norm + 1e-6);
  return max_norm > 0 && factor < 1 ? factor : 1;
}

/// A strided matrix inside a slot: `rows` rows of `length` elements, `stride` apart, from `offset`.
struct GradientPiece {
  std::int64_t offset, rows, length, stride;
};
struct NormSlot {
  std::int64_t slot;
  std::int64_t first_piece, piece_count;  ///< part of GradientNorms::pieces
};

/// L2 norm per entry of `slots`, summed in double in an order that depends on the entry's own pieces only.
struct GradientNorms {
  const float* grads;
  std::int64_t slot_stride;
  const NormSlot* slots;
  std::int64_t slot_count;
  const GradientPiece* pieces;
  double* partial;  ///< scratch of slot_count * kNormParts
  double* norms;    ///< slot_count
};
inline constexpr std::int64_t kNormParts = 64;  // blocks that share a slot: 32 slots fill a GPU several times over

namespace ref {
Status adamw(const AdamW& args, Stream stream);
Status gradient_norms(const GradientNorms& args, Stream stream);
}  // namespace ref

namespace cpu {
Status adamw(const AdamW& args, Stream stream);
Status gradient_norms(const GradientNorms& args, Stream stream);
}  // namespace cpu

namespace cuda {
Status adamw(const AdamW& args, Stream stream);
Status gradient_norms(const GradientNorms& args, Stream stream);
}  // namespace cuda

}  // namespace finetune::kernels
