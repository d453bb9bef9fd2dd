// DoRA (Liu et al., "DoRA: Weight-Decomposed Low-Rank Adaptation", 2024): an adapted projection computes
// m_o (W + scale B A)_o x / ||(W + scale B A)_o||, with a trained magnitude m_o for each output o; the norm counts as a
// constant in the backward pass, as in PEFT.
#pragma once

#include <cstdint>

#include "models/adapter_bank.h"
#include "models/weights.h"

namespace finetune {

/// The slot's magnitudes as they begin: the norms themselves, so that the adapter changes nothing yet.
void start_magnitudes(AdapterBank& bank, std::int64_t slot, const SlotOptions& options, const DecoderBase& base);

/// Norms and factors of the slot from its parameters; to be called whenever they have changed. Numbers depend on the
/// slot's own adapter alone.
void refresh_magnitudes(AdapterBank& bank, std::int64_t slot, const SlotOptions& options, const DecoderBase& base);

/// ||(W + scale B A)_o|| for each output: [O], fp32.
at::Tensor adapted_norms(const at::Tensor& weight_OI, const at::Tensor& a_RI, const at::Tensor& b_OR, double scale);

}  // namespace finetune
