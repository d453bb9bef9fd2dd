// A projection, or several that share an input, stacked: y = x w^T + bias for all tokens of a pack in one product, and
// on top the low-rank part of each trial's adapters, s = dropout(x) a^T, y += scale s b^T, in one grouped call.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "kernels/torch/ops.h"
#include "models/packed.h"

namespace finetune {

/// Adapters of all trials on one projection: rows [first, first + count) of the output.
struct AdapterPlace {
  std::int64_t bit = 0, key = 0;  ///< of the groups; of the dropout mask
  std::int64_t first = 0, count = 0;
  at::Tensor a_SRD, b_SOR;                       ///< parameters, a slot each
  at::Tensor da_SRD, db_SOR;                     ///< their gradients
  at::Tensor s_TR;                               ///< x a^T, from forward to backward
  at::Tensor scale_S;                            ///< of this projection; undefined: the groups'
  at::Tensor factor_SO, inverse_norm_SO, dm_SO;  ///< with magnitudes (models/dora.h); else undefined
};

struct Linear {
  at::Tensor weight_OI, bias_O;                ///< bias undefined: none
  const PackedStack* packed = nullptr;         ///< the weights of a quantised base, which weight_OI has room for
  at::Tensor dweight_OI, dbias_O;              ///< gradients in fp32; undefined where the weights are frozen
  std::vector<AdapterPlace> adapters;          ///< of the projections that the pack's trials adapt
  const ops::AdapterGroups* groups = nullptr;  ///< the pack's trials; needed with adapters
  bool by_row = false;                         ///< forward: ops::row_product
  at::Tensor z_TO;  ///< where some trial has magnitudes: products before them, from forward to backward; else undefined
  at::Tensor dz_TO;  ///< with z_TO: scratch of the backward pass

  /// Whether backward needs x.
  bool trains() const { return dweight_OI.defined() || !adapters.empty(); }

  std::int64_t outputs() const;

  /// The weights as numbers. Those of a quantised base stand in a buffer of the pass, until the next call for any
  /// projection.
  at::Tensor dense_weight() const;

  /// `accumulate`: y holds what is added to, the residual stream, and the product adds to it in one go.
  void forward(const at::Tensor& x_TI, at::Tensor& y_TO, bool accumulate) const;

  /// Writes dx where it is defined; adds to the gradients of adapters and weights.
  void backward(const at::Tensor& x_TI, const at::Tensor& dy_TO, at::Tensor dx_TI) const;

 private:
  void multiply(const at::Tensor& x_TI, at::Tensor& y_TO, bool accumulate) const;
  void multiply_by_row(const at::Tensor& x_TI, at::Tensor& y_TO, bool accumulate) const;
  void adapt(const at::Tensor& x_TI, at::Tensor& y_TO) const;
  /// Calls visit(group, place) for each projection of each trial that has magnitudes on it.
  template <typename Visit>
  void for_each_magnitude(const Visit& visit) const;
  void apply_magnitudes(const at::Tensor& before_TO, at::Tensor& y_TO) const;
  at::Tensor before_magnitudes(const at::Tensor& dy_TO) const;
};

}  // namespace finetune
