#include "models/blocks/block.h"

#include "models/blocks/attention.h"
#include "models/blocks/mlp.h"
#include "models/blocks/norm.h"

namespace finetune {
namespace {

// A branch: y = x + body(norm(x)). The body's last projection adds to the residual stream, which y holds already.
// Attention and Mlp are bodies; a body has
//
//   void forward(const at::Tensor& normed_TD, at::Tensor& y_TD)                                     adds to y
//   void backward(const at::Tensor& normed_TD, const at::Tensor& dy_TD, const at::Tensor& dnormed_TD)      writes
//   dnormed bool needs_input()      whether backward reads normed_TD: else it is left undefined bool trains() whether
//   anything in it is trained
//
// `dnormed_TD` is undefined where nothing below the body is trained.
template <class Body>
void branch_forward(const BlockContext& c, const Norm& norm, const at::Tensor& rstd_T, const Body& body,
                    const at::Tensor& x_TD, at::Tensor& y_TD) {
  at::Tensor normed_TD = c.scratch(kNormed, c.options().width);
  norm.forward(x_TD, normed_TD, rstd_T);
  y_TD.copy_(x_TD);
  body.forward(normed_TD, y_TD);
}

// dx_TD: the gradient of the branch's output in, of its input out.
template <class Body>
void branch_backward(const BlockContext& c, const Norm& norm, const at::Tensor& rstd_T, const Body& body,
                     const at::Tensor& x_TD, at::Tensor& dx_TD, bool needs_dx) {
  at::Tensor normed_TD, dnormed_TD;
  if (body.needs_input()) {
    normed_TD = c.scratch(kNormed, c.options().width);
    norm.forward(x_TD, normed_TD, rstd_T);
  }
  if (needs_dx) dnormed_TD = c.scratch(kDNormed, c.options().width);
  body.backward(normed_TD, dx_TD, dnormed_TD);
  if (needs_dx) norm.backward(dnormed_TD, x_TD, rstd_T, dx_TD, true);
}

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
