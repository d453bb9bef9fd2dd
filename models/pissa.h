// PiSSA (Meng et al., "PiSSA: Principal Singular Values and Singular Vectors Adaptation", 2024): the adapter begins as
// the principal part of the weight, which the base then lacks. Here the base is shared by all trials and stays whole:
// an adapter has its first half trained and, behind it, the negative of what that half began as. What is written is the
// same plain LoRA adapter of twice the rank.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "models/adapter_bank.h"
#include "models/weights.h"

namespace finetune {

/// The largest singular values of each projection's weight with their vectors: W = U diag(s) V. fp32, on the base's
/// device; undefined where nothing is adapted.
struct PrincipalPart {
  at::Tensor u_OR, s_R, v_RI;
};
using PrincipalParts = std::vector<PerProjection<PrincipalPart>>;  // by layer

/// Of all projections named, `rank` values each (fewer where a weight has fewer). `check` (may be empty) is called
/// between matrices and may throw.
PrincipalParts principal_parts(const DecoderBase& base, ProjectionSet targets, std::int64_t rank,
                               const std::function<void()>& check = {});

/// The slot's adapter as it begins: a = sqrt(s / scale) v, b = u sqrt(s / scale), and their negative product behind
/// them. Gradients and moments zero. Throws Error (bad_input) where a weight has fewer singular values than the rank.
void start_pissa(AdapterBank& bank, std::int64_t slot, const SlotOptions& options, const PrincipalParts& parts);

/// Puts the half that is not trained back to what it was: an optimizer's step goes over whole slots.
void restore_pissa(AdapterBank& bank, std::int64_t slot, const SlotOptions& options, const PrincipalParts& parts);

}  // namespace finetune
