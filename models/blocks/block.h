// One transformer block: two branches around the residual stream, attention and MLP. Internal to the decoder.
#pragma once

#include "models/blocks/context.h"

namespace finetune {

/// Reads x_TD, writes y_TD (which may not be x_TD).
void block_forward(const BlockContext& context, const at::Tensor& x_TD, at::Tensor& y_TD);

/// x_TD as in the forward pass. dx_TD: gradient of the block's output in, of its input out. `needs_input_gradient`
/// false: nothing below this block is trained, so what only serves dx is left out.
void block_backward(const BlockContext& context, const at::Tensor& x_TD, at::Tensor& dx_TD, bool needs_input_gradient);

}  // namespace finetune
