// The MLP of a block: down(activation(gate(x)) * up(x)). A body of a branch (block.cpp).
#pragma once

#include "models/blocks/context.h"

namespace finetune {

class Mlp {
 public:
  explicit Mlp(const BlockContext& context);

  void forward(const at::Tensor& normed_TD, at::Tensor& y_TD, bool accumulate) const;
  void backward(const at::Tensor& normed_TD, const at::Tensor& dy_TD, const at::Tensor& dnormed_TD) const;
  bool needs_input() const { return gate_up_.trains(); }
  bool trains() const { return gate_up_.trains() || down_.trains(); }

 private:
  at::Tensor activated() const;

  const BlockContext& context_;
  Linear gate_up_, down_;
  at::Tensor gate_up_T2F_;  // kept
  at::Tensor gate_TF_, up_TF_;
};

}  // namespace finetune
