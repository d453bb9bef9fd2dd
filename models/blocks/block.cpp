#include "models/blocks/block.h"

#include <ATen/ATen.h>

#include "kernels/torch/profile.h"
#include "models/blocks/attention.h"
#include "models/blocks/mlp.h"
#include "models/blocks/norm.h"

namespace finetune {
namespace {

// A norm, with the factors that it keeps from forward to backward; without a weight there is none.
struct KeptNorm {
  Norm norm;
  at::Tensor rstd_T;
};

// y = x + residual_scale * post_norm(body(pre_norm(x))). Attention and Mlp are bodies; a body has
//
//   void forward(normed_TD, y_TD, accumulate)        writes y, or adds to it
//   void backward(normed_TD, dy_TD, dnormed_TD)      writes dnormed, which is undefined where nothing below is trained
//   bool needs_input()                               whether backward reads normed_TD: else it is left undefined
//   bool trains()                                    whether anything in it is trained
//
// Where nothing stands between body and residual, the body's last projection adds to the residual stream itself.
template <class Body>
class Branch {
 public:
  Branch(const BlockContext& c, KeptNorm pre, KeptNorm post, int kept_output)
      : context_(c), body_(c), pre_(std::move(pre)), post_(std::move(post)), scale_(c.options().residual_scale) {
    if (post_.norm.defined()) output_TD_ = c.kept(kept_output, c.options().width);
  }

  bool trains() const { return body_.trains(); }

  void forward(const at::Tensor& x_TD, at::Tensor& y_TD) const {
    const at::Tensor normed_TD = normed(x_TD);
    if (adds_itself()) {
      keep_residual(x_TD, y_TD);
      body_.forward(normed_TD, y_TD, true);
      return;
    }
    at::Tensor output_TD = post_.norm.defined() ? output_TD_ : scratch(kBranch);
    body_.forward(normed_TD, output_TD, false);
    if (post_.norm.defined()) {
      at::Tensor post_normed_TD = scratch(kBranch);
      post_.norm.forward(output_TD, post_normed_TD, post_.rstd_T);
      output_TD = post_normed_TD;
    }
    const ops::Timed timed(ops::Part::residual, [&] { return over(y_TD, scale_ != 1 ? 2 : 1, 3); });
    if (scale_ != 1) output_TD.mul_(scale_);  // apart: a sum with a factor rounds as vectors or their ends do
    at::add_out(y_TD, x_TD, output_TD);
  }

  // dx_TD: the gradient of the branch's output in, of its input out.
  void backward(const at::Tensor& x_TD, at::Tensor& dx_TD, bool needs_dx) const {
    const at::Tensor normed_TD = body_.needs_input() ? normed(x_TD) : at::Tensor();
    const at::Tensor dnormed_TD = needs_dx ? scratch(kDNormed) : at::Tensor();
    body_.backward(normed_TD, output_gradient(dx_TD), dnormed_TD);
    if (!needs_dx) return;
    if (pre_.norm.defined())
      pre_.norm.backward(dnormed_TD, x_TD, pre_.rstd_T, dx_TD, true);
    else
      dx_TD.add_(dnormed_TD);
  }

 private:
  at::Tensor scratch(int name) const { return context_.scratch(name, context_.options().width); }
  static ops::Work over(const at::Tensor& x_TD, double flops, double passes) {
    return ops::elementwise_work(x_TD.numel(), flops, passes, x_TD.element_size());
  }
  static void keep_residual(const at::Tensor& x_TD, at::Tensor& y_TD) {
    const ops::Timed timed(ops::Part::residual, [&] { return over(x_TD, 0, 2); });
    y_TD.copy_(x_TD);
  }
  bool adds_itself() const { return !post_.norm.defined() && scale_ == 1; }

  at::Tensor normed(const at::Tensor& x_TD) const {
    if (!pre_.norm.defined()) return x_TD;
    at::Tensor normed_TD = scratch(kNormed);
    pre_.norm.forward(x_TD, normed_TD, pre_.rstd_T);
    return normed_TD;
  }

  // Of what the body gave, from the gradient of what the branch gives.
  at::Tensor output_gradient(const at::Tensor& dy_TD) const {
    at::Tensor gradient_TD = dy_TD;
    if (scale_ != 1) {
      gradient_TD = scratch(kDBranch);
      at::mul_out(gradient_TD, dy_TD, at::scalar_tensor(scale_, dy_TD.options()));
    }
    if (!post_.norm.defined()) return gradient_TD;
    at::Tensor doutput_TD = scratch(kDBranchOut);
    post_.norm.backward(gradient_TD, output_TD_, post_.rstd_T, doutput_TD, false);
    return doutput_TD;
  }

  const BlockContext& context_;
  Body body_;
  KeptNorm pre_, post_;
  double scale_;
  at::Tensor output_TD_;  // kept, with a post-norm
};

KeptNorm norm_of(const BlockContext& c, at::Tensor BlockTensors<at::Tensor>::*weight, int rstd) {
  KeptNorm kept{.norm = {c.weights().*weight, c.gradients().*weight, c.options()}, .rstd_T = {}};
  if (kept.norm.defined()) kept.rstd_T = c.kept_statistics(rstd, c.pack.tokens);
  return kept;
}

// The parts of a block, and the residual stream between its two branches.
struct Parts {
  using Tensors = BlockTensors<at::Tensor>;
  explicit Parts(const BlockContext& c)
      : attention(c, norm_of(c, &Tensors::attention_norm_D, kRstdAttention),
                  norm_of(c, &Tensors::attention_post_norm_D, kRstdAttentionOut), kAttentionOut),
        mlp(c, norm_of(c, &Tensors::mlp_norm_D, kRstdMlp), norm_of(c, &Tensors::mlp_post_norm_D, kRstdMlpOut), kMlpOut),
        middle_TD(c.kept(kMiddle, c.options().width)) {}

  Branch<Attention> attention;
  Branch<Mlp> mlp;
  at::Tensor middle_TD;
};

}  // namespace

void block_forward(const BlockContext& c, const at::Tensor& x_TD, at::Tensor& y_TD) {
  Parts b(c);
  b.attention.forward(x_TD, b.middle_TD);
  b.mlp.forward(b.middle_TD, y_TD);
}

void block_backward(const BlockContext& c, const at::Tensor& x_TD, at::Tensor& dx_TD, bool needs_input_gradient) {
  const Parts b(c);
  const bool needs_middle = needs_input_gradient || b.attention.trains();
  b.mlp.backward(b.middle_TD, dx_TD, needs_middle);
  if (needs_middle) b.attention.backward(x_TD, dx_TD, needs_input_gradient);
}

}  // namespace finetune
