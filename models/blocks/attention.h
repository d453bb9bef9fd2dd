// Causal self-attention of a block: o(attention(rotate(norm(q(x))), rotate(norm(k(x))), v(x))); the norms of heads only
// with qk-norm. A body of a branch (block.cpp).
#pragma once

#include "models/blocks/context.h"
#include "models/blocks/norm.h"

namespace finetune {

class Attention {
 public:
  explicit Attention(const BlockContext& context);

  void forward(const at::Tensor& normed_TD, at::Tensor& y_TD, bool accumulate) const;
  void backward(const at::Tensor& normed_TD, const at::Tensor& dy_TD, const at::Tensor& dnormed_TD) const;
  bool needs_input() const { return qkv_.trains(); }
  bool trains() const { return qkv_.trains() || o_.trains(); }

 private:
  /// q or k: its columns of the product and, with qk-norm, the normalised and rotated copy.
  struct Heads {
    Norm norm;
    at::Tensor projected, normed, rstd;
  };
  Heads heads_of(Projection projection, int copy, int rstd) const;
  /// What attention reads and writes gradients of: [T, heads, K].
  at::Tensor by_head(const at::Tensor& x) const;
  at::Tensor attended(const Heads& heads) const;
  ops::AttentionOptions how() const;
  void turn(const at::Tensor& x_THK, bool inverse) const;   ///< by the layer's angles, in place
  at::Tensor side_by_side(const at::Tensor& qkv_TE) const;  ///< q's and k's heads, [T, heads of both, K]
  void rotate() const;
  void attend(at::Tensor o_THK) const;
  void rotate_back(const Heads& heads, const at::Tensor& dx, const at::Tensor& dprojected) const;

  const BlockContext& context_;
  Linear qkv_, o_;
  at::Tensor qkv_TE_;  // kept; rotated in place, with qk-norm q and k stay as they were projected
  at::Tensor o_TO_, lse_HT_;
  Heads q_, k_;
};

}  // namespace finetune
