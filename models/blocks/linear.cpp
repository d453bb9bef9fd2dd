#include "models/blocks/linear.h"

#include <ATen/ATen.h>

namespace finetune {

void Linear::forward(const at::Tensor& x_TI, at::Tensor& y_TO, bool accumulate) const {
  if (by_row)
    ops::row_product(x_TI, weight_OI, bias_O, y_TO, accumulate);
  else
    multiply(x_TI, y_TO, accumulate);
  if (adapters.empty()) return;
  std::vector<ops::AdapterOutput> outputs;
  for (const AdapterPlace& place : adapters) {
    outputs.push_back({.bit = place.bit,
                       .key = place.key,
                       .a_SRD = place.a_SRD,
                       .b_SOR = place.b_SOR,
                       .s_TR = place.s_TR,
                       .y_TO = y_TO.narrow(1, place.first, place.count)});
  }
  ops::adapter_forward(x_TI, *groups, outputs);
}

void Linear::multiply(const at::Tensor& x_TI, at::Tensor& y_TO, bool accumulate) const {
  if (accumulate)
    at::addmm_out(y_TO, y_TO, x_TI, weight_OI.t());
  else if (bias_O.defined())
    at::addmm_out(y_TO, bias_O, x_TI, weight_OI.t());
  else
    at::mm_out(y_TO, x_TI, weight_OI.t());
  if (accumulate && bias_O.defined()) y_TO.add_(bias_O);
}

void Linear::backward(const at::Tensor& x_TI, const at::Tensor& dy_TO, at::Tensor dx_TI) const {
  if (dx_TI.defined()) at::mm_out(dx_TI, dy_TO, weight_OI);
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
                         .db_SOR = place.db_SOR});
    }
    ops::adapter_backward(x_TI, *groups, outputs, dx_TI);
  }
  if (!dweight_OI.defined()) return;
  at::Tensor dweight = dweight_OI;
  ops::add_weight_gradient(dy_TO, x_TI, dweight);
  if (dbias_O.defined()) dbias_O.add_(dy_TO.sum(0, false, dbias_O.scalar_type()));
}

}  // namespace finetune
