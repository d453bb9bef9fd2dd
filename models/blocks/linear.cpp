#include "models/blocks/linear.h"

#include <ATen/ATen.h>

#include <vector>

namespace finetune {

namespace {

// Rows of a trial and outputs of a projection.
at::Tensor part(const at::Tensor& x_TO, const ops::AdapterGroup& group, const AdapterPlace& place) {
  return x_TO.narrow(0, group.begin, group.end - group.begin).narrow(1, place.first, place.count);
}

}  // namespace

void Linear::forward(const at::Tensor& x_TI, at::Tensor& y_TO, bool accumulate) const {
  const at::Tensor before_TO = z_TO.defined() && accumulate ? y_TO.clone() : at::Tensor();
  by_row ? multiply_by_row(x_TI, y_TO, accumulate) : multiply(x_TI, y_TO, accumulate);
  if (!adapters.empty()) adapt(x_TI, y_TO);
  if (z_TO.defined()) apply_magnitudes(before_TO, y_TO);
}

void Linear::adapt(const at::Tensor& x_TI, at::Tensor& y_TO) const {
  std::vector<ops::AdapterOutput> outputs;
  for (const AdapterPlace& place : adapters) {
    outputs.push_back({.bit = place.bit,
                       .key = place.key,
                       .a_SRD = place.a_SRD,
                       .b_SOR = place.b_SOR,
                       .s_TR = place.s_TR,
                       .y_TO = y_TO.narrow(1, place.first, place.count),
                       .scale_S = place.scale_S});
  }
  ops::adapter_forward(x_TI, *groups, outputs);
}

template <typename Visit>
void Linear::for_each_magnitude(const Visit& visit) const {
  for (const ops::AdapterGroup& group : groups->list) {
    if (!group.magnitudes) continue;
    for (const AdapterPlace& place : adapters) {
      if ((group.projections >> place.bit & 1) != 0) visit(group, place);
    }
  }
}

// z is what the products added, without the bias; y becomes before + bias + factor z. Elementwise, so a row's bits are
// its own.
void Linear::apply_magnitudes(const at::Tensor& before_TO, at::Tensor& y_TO) const {
  for_each_magnitude([&](const ops::AdapterGroup& group, const AdapterPlace& place) {
    at::Tensor y = part(y_TO, group, place), z = part(z_TO, group, place);
    const at::Tensor bias = bias_O.defined() ? bias_O.narrow(0, place.first, place.count) : at::Tensor();
    z.copy_(before_TO.defined() ? y - part(before_TO, group, place) : y);
    if (bias.defined()) z.sub_(bias);
    y.copy_(z * place.factor_SO.select(0, group.slot).to(z.scalar_type()));
    if (bias.defined()) y.add_(bias);
    if (before_TO.defined()) y.add_(part(before_TO, group, place));
  });
}

// The gradient of z, with those of the magnitudes; elsewhere that of y.
at::Tensor Linear::before_magnitudes(const at::Tensor& dy_TO) const {
  if (!z_TO.defined()) return dy_TO;
  at::Tensor all_dz = dz_TO;
  all_dz.copy_(dy_TO);
  for_each_magnitude([&](const ops::AdapterGroup& group, const AdapterPlace& place) {
    at::Tensor dz = part(all_dz, group, place), dm = place.dm_SO.select(0, group.slot);
    ops::magnitude_backward(part(dy_TO, group, place), part(z_TO, group, place), place.factor_SO.select(0, group.slot),
                            place.inverse_norm_SO.select(0, group.slot), dz, dm);
  });
  return all_dz;
}

void Linear::multiply(const at::Tensor& x_TI, at::Tensor& y_TO, bool accumulate) const {
  const at::Tensor weight_IO = dense_weight().t();
  ops::product(x_TI, weight_IO, y_TO, accumulate);
  if (bias_O.defined()) y_TO.add_(bias_O);
}

// Module by module where they are packed.
void Linear::multiply_by_row(const at::Tensor& x_TI, at::Tensor& y_TO, bool accumulate) const {
  if (packed == nullptr) return ops::row_product(x_TI, weight_OI, bias_O, y_TO, accumulate);
  std::int64_t first = 0;
  for (const ops::PackedMatrix& matrix : *packed) {
    at::Tensor y = y_TO.narrow(1, first, matrix.rows);
    const at::Tensor bias = bias_O.defined() ? bias_O.narrow(0, first, matrix.rows) : at::Tensor();
    ops::packed_row_product(x_TI, matrix, bias, y, accumulate);
    first += matrix.rows;
  }
}

at::Tensor Linear::dense_weight() const {
  at::Tensor weight = weight_OI;
  if (packed != nullptr) dequantize(*packed, weight);
  return weight;
}

std::int64_t Linear::outputs() const {
  if (packed == nullptr) return weight_OI.size(0);
  std::int64_t outputs = 0;
  for (const ops::PackedMatrix& matrix : *packed) outputs += matrix.rows;
  return outputs;
}

void Linear::backward(const at::Tensor& x_TI, const at::Tensor& dy, at::Tensor dx_TI) const {
  const at::Tensor dy_TO = before_magnitudes(dy);
  if (dx_TI.defined()) ops::product(dy_TO, dense_weight(), dx_TI, false);
  if (!adapters.empty()) {
    std::vector<ops::AdapterOutputGradient> outputs;
    for (const AdapterPlace& place : adapters) {
      outputs.push_back({.bit = place.bit,
                         .key = place.key,
                         .a_SRD = place.a_SRD,
                         .b_SOR = place.b_SOR,
                         .s_TR = place.s_TR,
                         .dy_TO = dy_TO.narrow(1, place.first, place.count),
                         .da_SRD = place.da_SRD,
                         .db_SOR = place.db_SOR,
                         .scale_S = place.scale_S});
    }
    ops::adapter_backward(x_TI, *groups, outputs, dx_TI);
  }
  if (!dweight_OI.defined()) return;
  at::Tensor dweight = dweight_OI;
  ops::add_weight_gradient(dy_TO, x_TI, dweight);
  if (dbias_O.defined()) dbias_O.add_(dy_TO.sum(0, false, dbias_O.scalar_type()));
}

}  // namespace finetune
