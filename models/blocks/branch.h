// A branch of a block: y = x + body(norm(x)). The body's last projection adds to the residual stream, which y holds
// already. Attention and Mlp are bodies; a body has
//
//   void forward(const at::Tensor& normed_TD, at::Tensor& y_TD)                                     adds to y
//   void backward(const at::Tensor& normed_TD, const at::Tensor& dy_TD, at::Tensor dnormed_TD)      writes dnormed
//   bool needs_input()      whether backward reads normed_TD: else it is left undefined
//   bool trains()           whether anything in it is trained
//
// `dnormed_TD` is undefined where nothing below the body is trained.
#pragma once

#include "models/blocks/context.h"
#include "models/blocks/norm.h"

namespace finetune {

template <class Body>
void branch_forward(const BlockContext& c, const Norm& norm, const at::Tensor& rstd_T, const Body& body,
                    const at::Tensor& x_TD, at::Tensor& y_TD) {
  at::Tensor normed_TD = c.scratch(kNormed, c.options().width);
  norm.forward(x_TD, normed_TD, rstd_T);
  y_TD.copy_(x_TD);
  body.forward(normed_TD, y_TD);
}

/// dx_TD: the gradient of the branch's output in, of its input out.
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

}  // namespace finetune
