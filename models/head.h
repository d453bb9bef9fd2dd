// Final norm, output matrix and cross-entropy, only at rows that carry loss, in chunks of bounded size. Internal to the
// decoder.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/decoder.h"

namespace finetune {

/// Losses of pack.loss_rows_N given the last residual stream. `bank`: of the trials with heads of their own.
PackLosses head_losses(const DecoderBase& base, const Pack& pack, const at::Tensor& x_TD, const AdapterBank* bank,
                       DecoderWorkspace& workspace);

/// next_logits (decoder.h) given the last residual stream.
void head_next_logits(const DecoderBase& base, const Pack& pack, const at::Tensor& x_TD, const AdapterBank* bank,
                      DecoderWorkspace& workspace, const TakeLogits& take);

/// head_losses, and the gradient of what the objective minimises: overwrites dx_TD; adds to the gradients of
/// head and final norm that are trained.
PackLosses head_losses_backward(const DecoderBase& base, const Pack& pack, const at::Tensor& x_TD,
                                const Objective& objective, const Trainables& trainables, DecoderWorkspace& workspace,
                                at::Tensor& dx_TD);

}  // namespace finetune
