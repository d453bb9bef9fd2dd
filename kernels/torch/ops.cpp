#include "kernels/torch/ops.h"

#include <ATen/ATen.h>

#include "kernels/torch/backend.h"

namespace finetune::ops {

Segments make_segments(std::vector<std::int32_t> bounds, std::int64_t longest, at::Device device) {
  Segments segments;
  segments.bounds_B1 = at::tensor(at::ArrayRef<std::int32_t>(bounds), at::kInt).to(device);
  segments.bounds = std::move(bounds);
  segments.longest = longest;
  return segments;
}

void rmsnorm_forward(const at::Tensor& x_TD, const at::Tensor& w_D, double epsilon, at::Tensor& y_TD,
                     at::Tensor& rstd_T) {
  backend_for(Operation::rmsnorm, x_TD).rmsnorm_forward(x_TD, w_D, epsilon, y_TD, rstd_T);
}

void rmsnorm_backward(const at::Tensor& dy_TD, const at::Tensor& x_TD, const at::Tensor& w_D, const at::Tensor& rstd_T,
                      at::Tensor& dx_TD, bool accumulate, const at::Tensor& dw_D) {
  backend_for(Operation::rmsnorm, x_TD).rmsnorm_backward(dy_TD, x_TD, w_D, rstd_T, dx_TD, accumulate, dw_D);
}

void rotary(at::Tensor& x_THK, const at::Tensor& cos_PK, const at::Tensor& sin_PK, const at::Tensor& positions_T,
            bool inverse) {
  backend_for(Operation::rotary_embedding, x_THK).rotary(x_THK, cos_PK, sin_PK, positions_T, inverse);
}

void attention_forward(const at::Tensor& q_THK, const at::Tensor& k_TGK, const at::Tensor& v_TGK,
                       const Segments& segments, const AttentionOptions& options, at::Tensor& o_THK,
                       at::Tensor& lse_HT) {
  backend_for(Operation::attention, q_THK).attention_forward(q_THK, k_TGK, v_TGK, segments, options, o_THK, lse_HT);
}

void attention_backward(const at::Tensor& do_THK, const at::Tensor& q_THK, const at::Tensor& k_TGK,
                        const at::Tensor& v_TGK, const at::Tensor& o_THK, const at::Tensor& lse_HT,
                        const Segments& segments, const AttentionOptions& options, at::Tensor& dq_THK,
                        at::Tensor& dk_TGK, at::Tensor& dv_TGK) {
  backend_for(Operation::attention, q_THK)
      .attention_backward(do_THK, q_THK, k_TGK, v_TGK, o_THK, lse_HT, segments, options, dq_THK, dk_TGK, dv_TGK);
}

void swiglu_forward(const at::Tensor& gate_TF, const at::Tensor& up_TF, at::Tensor& h_TF) {
  backend_for(Operation::swiglu, gate_TF).swiglu_forward(gate_TF, up_TF, h_TF);
}

void swiglu_backward(const at::Tensor& dh_TF, const at::Tensor& gate_TF, const at::Tensor& up_TF, at::Tensor& dgate_TF,
                     at::Tensor& dup_TF) {
  backend_for(Operation::swiglu, gate_TF).swiglu_backward(dh_TF, gate_TF, up_TF, dgate_TF, dup_TF);
}

void cross_entropy(const at::Tensor& logits_NV, const at::Tensor& targets_N, const at::Tensor& scale_N,
                   at::Tensor& nll_N, at::Tensor& correct_N, at::Tensor dlogits_NV) {
  backend_for(Operation::entropy, logits_NV).cross_entropy(logits_NV, targets_N, scale_N, nll_N, correct_N, dlogits_NV);
}

void adapter_forward(const at::Tensor& x_TD, const at::Tensor& a_SRD, const at::Tensor& b_SOR,
                     std::span<const AdapterGroup> groups, std::int64_t key, at::Tensor& s_TR, at::Tensor& y_TO) {
  backend_for(Operation::adapter, x_TD).adapter_forward(x_TD, a_SRD, b_SOR, groups, key, s_TR, y_TO);
}

void adapter_backward(const at::Tensor& dy_TO, const at::Tensor& x_TD, const at::Tensor& a_SRD, const at::Tensor& b_SOR,
                      const at::Tensor& s_TR, std::span<const AdapterGroup> groups, std::int64_t key, at::Tensor& dx_TD,
                      at::Tensor& da_SRD, at::Tensor& db_SOR) {
  backend_for(Operation::adapter, dy_TO)
      .adapter_backward(dy_TO, x_TD, a_SRD, b_SOR, s_TR, groups, key, dx_TD, da_SRD, db_SOR);
}

std::vector<double> gradient_norms(const at::Tensor& grads_SP, std::span<const SlotPieces> slots) {
  return backend_for(Operation::optimizer, grads_SP).gradient_norms(grads_SP, slots);
}

void adamw(at::Tensor params_SP, at::Tensor grads_SP, at::Tensor first_SP, at::Tensor second_SP,
           std::span<const SlotUpdate> updates) {
  backend_for(Operation::optimizer, params_SP).adamw(params_SP, grads_SP, first_SP, second_SP, updates);
}

}  // namespace finetune::ops
