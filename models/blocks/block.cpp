#include "models/blocks/block.h"

#include "models/blocks/attention.h"
#include "models/blocks/branch.h"
#include "models/blocks/mlp.h"

namespace finetune {
namespace {

// The parts of a block, and the residual stream between its two branches.
struct Parts {
  explicit Parts(const BlockContext& c)
      : attention(c),
        mlp(c),
        attention_norm{c.weights().attention_norm_D, c.gradients().attention_norm_D, c.options().norm_epsilon},
        mlp_norm{c.weights().mlp_norm_D, c.gradients().mlp_norm_D, c.options().norm_epsilon},
        rstd_attention_T(c.kept_statistics(kRstdAttention, c.pack.tokens)),
        rstd_mlp_T(c.kept_statistics(kRstdMlp, c.pack.tokens)),
        middle_TD(c.kept(kMiddle, c.options().width)) {}

  Attention attention;
  Mlp mlp;
  Norm attention_norm, mlp_norm;
  at::Tensor rstd_attention_T, rstd_mlp_T, middle_TD;
};

}  // namespace

void block_forward(const BlockContext& c, const at::Tensor& x_TD, at::Tensor& y_TD) {
  Parts b(c);
  branch_forward(c, b.attention_norm, b.rstd_attention_T, b.attention, x_TD, b.middle_TD);
  branch_forward(c, b.mlp_norm, b.rstd_mlp_T, b.mlp, b.middle_TD, y_TD);
}

void block_backward(const BlockContext& c, const at::Tensor& x_TD, at::Tensor& dx_TD, bool needs_input_gradient) {
  Parts b(c);
  const bool needs_middle = needs_input_gradient || b.attention.trains();
  branch_backward(c, b.mlp_norm, b.rstd_mlp_T, b.mlp, b.middle_TD, dx_TD, needs_middle);
  if (needs_middle)
    branch_backward(c, b.attention_norm, b.rstd_attention_T, b.attention, x_TD, dx_TD, needs_input_gradient);
}

}  // namespace finetune
