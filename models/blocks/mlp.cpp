#include "models/blocks/mlp.h"

namespace finetune {

Mlp::Mlp(const BlockContext& c)
    : context_(c),
      gate_up_(projections(c, Stack::gate_up)),
      down_(projections(c, Stack::down)),
      gate_up_T2F_(c.kept(kGateUp, 2 * c.options().mlp_width)),
      gate_TF_(gate_up_T2F_.narrow(1, 0, c.options().mlp_width)),
      up_TF_(gate_up_T2F_.narrow(1, c.options().mlp_width, c.options().mlp_width)) {}

at::Tensor Mlp::activated() const {
  at::Tensor hidden_TF = context_.scratch(kHidden, context_.options().mlp_width);
  ops::glu_forward(context_.options().activation, gate_TF_, up_TF_, hidden_TF);
  return hidden_TF;
}

void Mlp::forward(const at::Tensor& normed_TD, at::Tensor& y_TD, bool accumulate) const {
  at::Tensor gate_up_T2F = gate_up_T2F_;
  gate_up_.forward(normed_TD, gate_up_T2F, false);
  down_.forward(activated(), y_TD, accumulate);
}

void Mlp::backward(const at::Tensor& normed_TD, const at::Tensor& dy_TD, const at::Tensor& dnormed_TD) const {
  const std::int64_t width = context_.options().mlp_width;
  const bool goes_on = gate_up_.trains() || dnormed_TD.defined();
  const at::Tensor dhidden_TF = goes_on ? context_.scratch(kDHidden, width) : at::Tensor();
  down_.backward(down_.trains() ? activated() : at::Tensor(), dy_TD, dhidden_TF);
  if (!goes_on) return;
  const at::Tensor dgate_up_T2F = context_.scratch(kDGateUp, 2 * width);
  at::Tensor dgate_TF = dgate_up_T2F.narrow(1, 0, width), dup_TF = dgate_up_T2F.narrow(1, width, width);
  ops::glu_backward(context_.options().activation, dhidden_TF, gate_TF_, up_TF_, dgate_TF, dup_TF);
  gate_up_.backward(normed_TD, dgate_up_T2F, dnormed_TD);
}

}  // namespace finetune
